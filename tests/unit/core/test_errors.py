import importlib
import pkgutil
from collections.abc import Iterator
from http import HTTPStatus

import pytest

import chalicelib
from chalicelib.core.errors import (
    FieldError,
    Invalid,
    NotAllowed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    phrase,
    problem,
)


def tree(error: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    for heir in error.__subclasses__():
        yield heir
        yield from tree(heir)


for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(module.name)
ERRORS = sorted({error for error in tree() if error.__module__.startswith("chalicelib")}, key=str)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_docstring_of_an_error_tells_callers_its_meaning(error: type[ServiceError]) -> None:
    assert error.__doc__
    assert error.__doc__ != error.__base__.__doc__
    assert error.__doc__.partition("\n")[0].endswith(".")
    assert isinstance(error.status, HTTPStatus)


def test_error_tree_is_not_empty() -> None:
    assert len(ERRORS) > 20


def test_error_without_a_message_uses_its_docstring() -> None:
    class Missing(ServiceError):
        """It is not here.

        This line is for those who read the code.
        """

    assert str(Missing()) == "It is not here."
    assert str(Missing("It was never here.")) == "It was never here."


def test_a_problem_has_the_members_that_the_rfc_names() -> None:
    made = Invalid([FieldError("a.b", "too long")]).problem("r-1")
    assert made == {
        "type": "/problems/invalid-fields",
        "code": "invalid-fields",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "Some fields cannot be accepted.",
        "requestId": "r-1",
        "errors": [{"path": "a.b", "message": "too long"}],
    }


def test_problem_can_be_made_without_a_service_error() -> None:
    made = problem(HTTPStatus.BAD_GATEWAY, "The API broke off.", "r-1")
    assert made == {
        "type": "/problems/bad-gateway",
        "code": "bad-gateway",
        "title": "Bad Gateway",
        "status": 502,
        "detail": "The API broke off.",
        "requestId": "r-1",
    }


def test_answers_carry_the_headers_that_go_with_their_status() -> None:
    assert Unauthenticated().headers() == {"WWW-Authenticate": "Bearer"}
    assert NotAllowed(["GET", "PUT"]).headers() == {"Allow": "GET, PUT"}
    assert Unavailable(retry_after_seconds=9).headers() == {"Retry-After": "9"}


def test_every_unavailable_error_has_retry_after() -> None:
    for error in ERRORS:
        if issubclass(error, Unavailable) and error.__init__ is Unavailable.__init__:
            assert int(error().headers()["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("status", "title"),
    [(404, "Not Found"), (413, "Content Too Large"), (414, "URI Too Long"), (422, "Unprocessable Content")],
)
def test_title_of_a_problem_is_the_phrase_of_the_rfc_on_every_python(status: int, title: str) -> None:
    assert phrase(status) == title
