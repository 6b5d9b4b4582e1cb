import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chalicelib.approvals.models import LONGEST_HELD_MS, LONGEST_MS, Escalation, NewApproval, Seen, Status
from chalicelib.core.errors import Invalid, Malformed
from chalicelib.core.models import Id, Username
from chalicelib.core.web.requests import validated
from tests.unit.approvals.build import an_approval

#: JSON values that Python reads and writes unchanged.
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,20}", fullmatch=True)
ACTIONS = st.text(min_size=1, max_size=64).filter(lambda action: action != "timeout")
VALID = st.fixed_dictionaries(
    {"username": NAMES},
    optional={
        "title": st.text(max_size=200),
        "body": st.text(max_size=500),
        "data": st.dictionaries(st.text(), VALUES, max_size=4),
        "actions": st.lists(ACTIONS, min_size=1, max_size=20, unique=True),
        "wait": st.booleans(),
        "timeoutMs": st.integers(1_000, LONGEST_HELD_MS),
    },
)
FIELDS = {"username", "title", "body", "data", "actions", "wait", "timeoutMs"} | {
    "approvers",
    "required",
    "escalateTo",
    "callbackUrl",
}


def read(body: Any) -> NewApproval:
    text = body if isinstance(body, str) else json.dumps(body)
    found: NewApproval = validated(lambda: NewApproval.model_validate_json(text, by_alias=True, by_name=False))
    return found


def error_paths(body: Any) -> set[str]:
    """Return the paths of all errors; *body* must be refused."""
    with pytest.raises(Invalid) as raised:
        read(body)
    assert all(error.message for error in raised.value.errors)
    return {error.path for error in raised.value.errors}


def with_number(text: str) -> str:
    return '{"username": "ann", "data": {"n": NUMBER}}'.replace("NUMBER", text)


@given(body=VALID)
def test_an_accepted_body_reads_back_unchanged(body: dict[str, Any]) -> None:
    new = read(body)
    assert read(new.model_dump_json()) == new
    sent = {**body, "username": body["username"].lower()}
    shown = json.loads(new.model_dump_json())
    assert {name: shown[name] for name in sent} == sent


@given(body=st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=8), VALUES, max_size=6))
def test_any_body_is_accepted_or_refused_with_field_paths(body: dict[str, Any]) -> None:
    try:
        read(body)
    except Invalid as error:
        paths = {fault.path for fault in error.errors}
    else:
        return
    assert paths
    assert all(path in body or path.split(".")[0] in FIELDS for path in paths)


@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Invalid, Malformed):
        assert read(text).username


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"username": ""}, {"username"}),
        ({"username": "x" * 10_000}, {"username"}),
        ({"username": {"$ne": None}}, {"username"}),
        ({"username": 5}, {"username"}),
        ({"username": None}, {"username"}),
        ({"username": "$where"}, {"username"}),
        ({"username": "a b"}, {"username"}),
        ({"username": "ann\n"}, set()),
        ({"username": "ann\nbob"}, {"username"}),
        ({"title": "x" * 201}, {"title"}),
        ({"title": 7}, {"title"}),
        ({"body": "x" * 10_001}, {"body"}),
        ({"data": []}, {"data"}),
        ({"data": "x"}, {"data"}),
        ({"data": None}, {"data"}),
        ({"actions": []}, {"actions"}),
        ({"actions": ["a", "a"]}, {"actions"}),
        ({"actions": ["timeout"]}, {"actions"}),
        ({"actions": ["a", ""]}, {"actions.1"}),
        ({"actions": ["x" * 65]}, {"actions.0"}),
        ({"actions": [f"{number}" for number in range(21)]}, {"actions"}),
        ({"actions": "approve"}, {"actions"}),
        ({"wait": "false"}, {"wait"}),
        ({"wait": 0}, {"wait"}),
        ({"timeoutMs": 0}, {"timeoutMs"}),
        ({"timeoutMs": -1}, {"timeoutMs"}),
        ({"timeoutMs": 999}, {"timeoutMs"}),
        ({"timeoutMs": 1_000}, set()),
        ({"timeoutMs": 1_000.0}, set()),
        ({"timeoutMs": 1_000.5}, {"timeoutMs"}),
        ({"timeoutMs": "1000"}, {"timeoutMs"}),
        ({"timeoutMs": True}, {"timeoutMs"}),
        ({"timeoutMs": LONGEST_HELD_MS}, set()),
        ({"timeoutMs": LONGEST_HELD_MS + 1}, {"timeoutMs"}),
        ({"timeoutMs": 10**9}, {"timeoutMs"}),
        ({"timeoutMs": 10**9, "wait": False}, {"timeoutMs"}),
        ({"timeoutMs": LONGEST_MS, "wait": False}, set()),
        ({"timeoutMs": LONGEST_MS + 1, "wait": False}, {"timeoutMs"}),
        ({"timeout_ms": 5_000}, {"timeout_ms"}),
        ({"requestId": "mine"}, {"requestId"}),
        ({"$where": "1"}, {"$where"}),
        ({"required": 0}, {"required"}),
        ({"required": 2}, {"required"}),
        ({"required": 2, "approvers": ["bob"]}, set()),
        ({"required": 2, "approvers": ["ANN"]}, {"required"}),
        ({"approvers": ["bob", "a b"]}, {"approvers.1"}),
        ({"escalateTo": [{"username": "bob", "afterMs": 5_000}]}, set()),
        ({"escalateTo": [{"username": "bob", "afterMs": LONGEST_HELD_MS}]}, {"escalateTo"}),
        ({"escalateTo": [{"username": "bob"}]}, {"escalateTo.0.afterMs"}),
    ],
    ids=repr,
)
def test_each_broken_limit_names_its_field(changes: dict[str, Any], paths: set[str]) -> None:
    body = {"username": "ann", **changes}
    if paths:
        assert error_paths(body) == paths
    else:
        assert read(body)


def test_all_wrong_fields_are_named_at_once() -> None:
    assert error_paths({"title": 1, "actions": [], "x": 1}) == {"username", "title", "actions", "x"}


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999"])
def test_a_number_beyond_double_range_is_refused(number: str) -> None:
    assert error_paths(with_number(number)) == {"data"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "0x10", "01"])
def test_numbers_outside_json_syntax_are_refused(number: str) -> None:
    with pytest.raises((Malformed, Invalid)):
        read(with_number(number))


def test_an_integer_beyond_pythons_digit_limit_is_refused_or_kept() -> None:
    digits = "9" * 5_000
    try:
        new = read(with_number(digits))
    except (Invalid, Malformed):
        return
    assert digits in new.model_dump_json()


@given(body=VALID)
def test_a_model_cannot_be_changed(body: dict[str, Any]) -> None:
    new = read(body)
    with pytest.raises(ValueError, match="frozen"):
        new.__setattr__("title", "other")


def test_people_and_named_are_unique_and_in_order() -> None:
    steps = [Escalation(username=name, after_ms=1_000) for name in ("dan", "bob")]
    new = an_approval(username="ann", approvers=["bob", "ann", "cyd", "bob"], escalate_to=steps)
    assert new.people == ["ann", "bob", "cyd"]
    assert new.named == ["ann", "bob", "cyd", "dan"]


@pytest.mark.parametrize(
    ("given_name", "name"), [("ANN", "ann"), (" a@B.c ", "a@b.c"), ("0", "0"), ("a+b_c-d.e", "a+b_c-d.e")]
)
def test_usernames_are_trimmed_and_lowercased(given_name: str, name: str) -> None:
    assert TypeAdapter(Username).validate_python(given_name) == name


@given(text=st.text())
def test_an_id_that_is_no_ulid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an id"):
        TypeAdapter(Id).validate_python(text if len(text) != 26 else text[1:])


@pytest.mark.parametrize("status", Status)
def test_every_status_but_pending_is_settled(status: Status) -> None:
    class WithStatus:
        """The one field that `settled` reads."""

        def __init__(self, status: Status) -> None:
            self.status = status

    assert Seen(WithStatus(status), 0).settled == (status is not Status.PENDING)  # type: ignore[arg-type]
