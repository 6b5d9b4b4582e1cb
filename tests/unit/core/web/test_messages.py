"""Messages of invalid fields are sentences of the API, for every field of every route."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app import app
from chalicelib.applications.models import ApplicationChange, BatchUpdate, NewApplication
from chalicelib.approvals.models import NewApproval
from chalicelib.core.errors import Invalid
from chalicelib.core.models import Form, Id
from chalicelib.core.web import Query
from chalicelib.core.web.messages import message
from chalicelib.core.web.requests import validated
from chalicelib.devices.models import NewDevice
from chalicelib.users.models import NewKey, NewUser

#: Words and signs of pydantic, of Python and of regular expressions.
LEAK = re.compile(
    r"Value should|Input should|String should|Field required|Extra inputs|Value error|[Pp]attern|[Vv]alidat|pydantic"
    r"|\b(int|str|bool|dict|list\[|NoneType|ValueError|datetime)\b|[\^$\\{}\[\]]|\.\*|cannot be accepted"
    r"|has a form that this field"
)
#: Values that are wrong for most fields, each in another way.
WRONG: list[Any] = [
    None, True, "", " ", "a\nb", "x" * 20_000, "-", -1, 0, 1.5, 10**30, 1e300, [], {}, [1], [""], ["a", "a"],
    ["timeout"], {"a": 1}, [{}], ["x" * 300] * 600, "2026-01-01", "2026-01-01T00:00:00", "never", {"a": float("inf")},
]  # fmt: skip

MODELS = sorted(
    {model for endpoint in app.endpoints for model in (endpoint.body, endpoint.query) if model},
    key=lambda model: model.__name__,
)


def faults(model: type[BaseModel], given: Any) -> list[tuple[str, str]]:
    """Return path and message of every fault, for a body as JSON and for a query as texts."""
    check: Callable[[], Any]
    if issubclass(model, Query):
        if not isinstance(given, dict):
            return []
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        check = partial(model.model_validate, texts, by_alias=True, by_name=False)
    else:
        check = partial(model.model_validate_json, json.dumps(given), by_alias=True, by_name=False)
    try:
        validated(check)
    except Invalid as error:
        return [(fault.path, fault.message) for fault in error.errors]
    return []


def aliases(model: type[BaseModel]) -> Iterator[str]:
    return (field.alias or name for name, field in model.model_fields.items())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_message_of_any_field_has_words_of_the_framework(model: type[BaseModel]) -> None:
    told = [fault for name in aliases(model) for wrong in WRONG for fault in faults(model, {name: wrong})]
    wholes: list[Any] = [{}, [], None, {"surprise": 1}]
    told += [fault for given in wholes for fault in faults(model, given)]
    assert told
    leaks = {f"{path}: {text}" for path, text in told if LEAK.search(text)}
    assert not leaks
    assert all(re.match(r"(is|must|send|name|an|pages|afterMs|has) ", text) for _, text in told), told


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        (NewUser, {"password": "ab"}, {"password": "must have at least 8 characters", "username": "is required"}),
        (NewUser, {"roles": []}, {"roles": "must have at least 1 item"}),
        (NewUser, {"roles": ["king"]}, {"roles.0": "must be one of: admin, officer, service, user"}),
        (NewKey, {"name": "a", "expiresAt": "2026-01-01T00:00:00"}, {"expiresAt": "must be a time in ISO 8601"}),
        (NewApplication, {"currency": "eur"}, {"currency": "must be three capital letters"}),
        (NewApplication, {"amountMinor": 0}, {"amountMinor": "must be at least 1"}),
        (NewApplication, {"termMonths": "12"}, {"termMonths": "must be a whole number"}),
        (NewApplication, {"note": 1}, {"note": "is not a field of this request"}),
        (NewApproval, {"username": "a b"}, {"username": "must be 1 to 254 letters, digits"}),
        (NewApproval, {"wait": "no"}, {"wait": "must be true or false"}),
        (NewApproval, {"data": {"a": float("inf")}}, {"data": "must not have infinite numbers"}),
        (NewApproval, {"title": "x" * 201}, {"title": "must have at most 200 characters"}),
        (NewDevice, {"fcmToken": ""}, {"fcmToken": "must be a registration token of Firebase"}),
        (BatchUpdate, {"status": "approved"}, {"items": "send either applicationIds or items"}),
        (ApplicationChange, {"email": "ann"}, {"email": "must be an e-mail address"}),
    ],
    ids=str,
)
def test_message_says_what_the_field_takes(model: type[BaseModel], given: Any, told: dict[str, str]) -> None:
    found = dict(faults(model, given))
    for path, beginning in told.items():
        assert found[path].startswith(beginning)


def test_every_pattern_of_a_request_has_a_sentence_of_its_own() -> None:
    for endpoint in app.endpoints:
        for kind in endpoint.params.values():
            with pytest.raises(ValidationError) as caught:
                TypeAdapter(kind).validate_python("\n")
            assert caught.value.errors()[0]["type"] == "form"


def test_fault_of_an_unknown_type_reveals_nothing() -> None:
    assert message({"type": "some_new_type", "msg": "Input should be odd", "ctx": {}}) == "cannot be accepted"


def test_form_adds_its_sentence_to_the_schema_of_its_type() -> None:
    assert isinstance(get_args(Id)[-1], Form)
    sentence = get_args(Id)[-1].sentence
    assert TypeAdapter(Id).json_schema() == {
        "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$",
        "type": "string",
        "description": sentence,
        "x-form": sentence,
    }
