"""Converts a document of another system into an application. Pure: no I/O."""

from collections.abc import Collection, Mapping
from typing import Any

from chalicelib.applications.models import NewApplication, Status
from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.records.models import Doc
from chalicelib.core.web import requests, reserved

_ID, _KEY = "applicationId", "_id"
#: Name of each field in the document (camelCase), by its accepted spellings: camelCase and snake_case.
_NAMES = {
    known: field.alias or name
    for name, field in NewApplication.model_fields.items()
    for known in (name, field.alias or name)
}


def adopted(document: Mapping[str, Any], *, drop_unknown: bool = False, taken: Collection[str] = ()) -> tuple[str, Doc]:
    """Return the id and the application document read from *document*, a mapping of plain JSON values.

    The id is ``applicationId``, the id known to people; without an ``applicationId``, the id is ``_id``. Fields may be
    named in camelCase or in snake_case. Every status is accepted. An unknown field is a fault, since its value would be
    lost; with *drop_unknown*, unknown fields are left out. *taken* are the ids that routes reserve.

    Raises:
        Invalid: *document* is no valid application. The error names each fault, and contains no value.
    """
    given = {_field_name(name, document): value for name, value in document.items() if name != _KEY}
    if drop_unknown:
        given = {name: value for name, value in given.items() if name in _NAMES.values()}
    source = _ID if given.get(_ID) is not None else _KEY
    status = given.pop("status", Status.DRAFT)
    faults = []
    if status not in list(Status):
        faults = [FieldError("status", f"must be one of: {', '.join(Status)}")]
    try:
        # The status was checked above: `NewApplication` allows only two statuses, and an import allows every status.
        read = _read({**given, _ID: _id_text(given.get(_ID) if source == _ID else document.get(_KEY))})
    except Invalid as error:
        named = [FieldError(source, fault.message) if fault.path == _ID else fault for fault in error.errors]
        raise Invalid([*named, *faults]) from None
    if read.application_id in taken:
        faults.append(FieldError(source, reserved.message(taken)))
    if faults:
        raise Invalid(faults)
    return str(read.application_id), {**read.fields, "status": str(status)}


def _read(given: Mapping[str, Any]) -> NewApplication:
    if given[_ID] is None:
        raise Invalid([FieldError(_KEY, "is required")])
    found: NewApplication = requests.validated(
        lambda: NewApplication.model_validate(given, by_alias=True, by_name=False)
    )
    return found


def _field_name(name: str, document: Mapping[str, Any]) -> str:
    # In a document with both spellings, the snake_case name stays, and is reported as an unknown field.
    camel = _NAMES.get(name, name)
    return camel if camel not in document else name


def _id_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
