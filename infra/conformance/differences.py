"""The known differences between LocalStack 4.14.0 and AWS, or the emulator of ``scripts/up``: each with its cause.

docs/local.md has the same list as a table; a test compares both.
"""

from __future__ import annotations

from typing import NamedTuple

#: The folder of the tests.
TESTS = "tests/integration"


class Difference(NamedTuple):
    """One difference, its cause, and the tests that it concerns: a file, or a file and a test's name.

    The tests of a difference that is *hopeless* are left out, as they would wait in vain or test something else. All
    others have to fail: a test that passes is no difference any more.
    """

    what: str
    cause: str
    tests: tuple[str, ...]
    hopeless: bool = False

    @property
    def concerned(self) -> str:
        """The tests as docs/local.md lists them."""
        return ", ".join(f"`{test}`" for test in self.tests)


DIFFERENCES = (
    Difference(
        "an unknown path, and a method that the gateway does not know, are no problem documents",
        "LocalStack applies neither templates nor headers of gateway responses",
        (
            "test_gateway.py::test_a_path_without_a_route_is_404",
            "test_gateway.py::test_a_preflight_of_an_unknown_path_is_404",
            "test_gateway.py::test_gateway_error_can_be_read_by_pages_of_every_origin",
            "test_gateway.py::test_method_unknown_to_the_gateway_is_not_allowed",
            "test_paths.py::test_path_has_the_same_status_at_every_entry_point[GET-/api//users-404-gateway]",
            "test_paths.py::test_path_has_the_same_status_at_every_entry_point[GET-/api//users-404-front]",
        ),
    ),
    Difference(
        "a path with two slashes at its beginning is that with one",
        "LocalStack's gateway strips slashes at the beginning of a path",
        (
            "test_paths.py::test_path_has_the_same_status_at_every_entry_point[GET-//health-404-gateway]",
            "test_paths.py::test_path_has_the_same_status_at_every_entry_point[GET-//health-404-front]",
        ),
    ),
    Difference(
        "all callers have one address, and share its limit of failed logins",
        "LocalStack's gateway names 127.0.0.1 as the source of every call",
        # It would shut out all sign-ins of later tests.
        ("test_login_floods.py::test_flood_from_one_address_is_refused_and_others_sign_in",),
        hopeless=True,
    ),
    Difference(
        "there are no WebSockets",
        "LocalStack 4.14.0 has no API Gateway v2 among its services; the stack is deployed without these resources",
        (
            "test_sockets.py",
            "test_socket_frames.py",
            "test_socket_steps.py",
            "test_chat_example.py",
            "test_messages.py",
            "test_progress.py::test_twenty_watchers_in_four_ways_see_no_step_back_and_the_last_one",
        ),
        hopeless=True,
    ),
    Difference(
        "a malformed body of type multipart/form-data is refused with 400 and no problem document",
        "LocalStack reads such a body itself, before the API is asked; a well-formed one reaches the API",
        ("test_bad_input.py::test_a_body_of_another_content_type_is_415[multipart/form-data; boundary=x]",),
    ),
    Difference(
        "a search of logs answers every line",
        "in the free edition of LocalStack, every line matches every pattern",
        ("test_callbacks.py::test_a_request_id_is_logged_from_call_to_callback",),
    ),
    Difference(
        "no receiver runs beside the stack, and the stack has no processes of its own",
        "`scripts/up` starts neither beside a foreign endpoint and a foreign MongoDB",
        (
            "test_callbacks.py::test_a_callback_url_to_a_port_of_the_stack_is_refused",
            "test_callbacks.py::test_a_callback_reaches_the_receiver_of_the_stack",
            "test_verifying.py::test_address_of_another_server_is_a_sentence",
            "test_verifying.py::test_stage_whose_database_is_down_names_the_store",
        ),
        hopeless=True,
    ),
    Difference(
        "a role may call everything",
        "the free edition of LocalStack checks no policies",
        ("test_permissions.py::test_a_function_has_exactly_the_rights_of_its_work",),
        hopeless=True,
    ),
    Difference(
        "a stack keeps no template for its next update",
        "LocalStack does not know `UsePreviousTemplate`, with which a parameter alone is changed",
        (
            "test_parameters.py::test_tracing_and_network_are_parameters_of_the_deployed_stack",
            "test_parameters.py::test_parameter_bounds_the_sender_of_mails",
        ),
    ),
    Difference(
        "a protected stack, and a protected table, are deleted",
        "LocalStack's CloudFormation protects no table, and deletes a protected stack",
        ("test_alarms.py::test_protected_stack_and_table_are_not_deleted",),
        # It would delete the stack of all later tests.
        hopeless=True,
    ),
    Difference(
        "log groups keep their lines for ever",
        "LocalStack's CloudFormation makes a log group without its retention",
        ("test_parameters.py::test_log_group_of_a_function_has_the_retention_of_the_stage",),
    ),
    Difference(
        "a function that a test makes of one module finds no packages",
        "a function has the packages of its own zip, as at AWS; the emulator gives all functions those of this machine",
        ("test_permissions.py::test_a_function_imports_its_package_and_no_local_tools",),
    ),
)
