"""An application as another system has kept it, read as one of ours. Pure: it is given a document and asks nobody."""

from collections.abc import Mapping
from typing import Any

from chalicelib.applications.models import NewApplication, Status
from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.records.models import Doc
from chalicelib.core.web import requests

_ID, _KEY = "applicationId", "_id"
#: Every field of ours, by the name it has outside and by the one it has inside.
_NAMES = {
    known: field.alias or name
    for name, field in NewApplication.model_fields.items()
    for known in (name, field.alias or name)
}


def adopted(document: Mapping[str, Any], *, drop_unknown: bool = False) -> tuple[str, Doc]:
    """Return the id and the document of the application that *document*, of plain JSON values, is.

    Its id is its ``applicationId``, which is what people know it by; without one, its ``_id``. Fields may be named in
    camelCase or in snake_case. It may stand in any state there is. A field that no application has is a fault, as it
    would be lost, or is left out with *drop_unknown*.

    Raises:
        Invalid: it is none; names each fault, and no value.
    """
    given = {_camel(name, document): value for name, value in document.items() if name != _KEY}
    if drop_unknown:
        given = {name: value for name, value in given.items() if name in _NAMES.values()}
    source = _ID if given.get(_ID) is not None else _KEY
    status = given.pop("status", Status.DRAFT)
    faults = []
    if status not in list(Status):
        faults = [FieldError("status", f"Input should be one of {', '.join(Status)}")]
    try:
        # Its own state apart: whoever asks for money may name two of them, and here any may be found.
        read = _read({**given, _ID: _text(given.get(_ID) if source == _ID else document.get(_KEY))})
    except Invalid as error:
        named = [FieldError(source, fault.message) if fault.path == _ID else fault for fault in error.errors]
        raise Invalid([*named, *faults]) from None
    if faults:
        raise Invalid(faults)
    return str(read.application_id), {**read.fields, "status": str(status)}


def _read(given: Mapping[str, Any]) -> NewApplication:
    if given[_ID] is None:
        raise Invalid([FieldError(_KEY, "Field required")])
    found: NewApplication = requests.validated(
        lambda: NewApplication.model_validate(given, by_alias=True, by_name=False)
    )
    return found


def _camel(name: str, document: Mapping[str, Any]) -> str:
    # Where a document has both, neither is lost: one of them is a field that nobody knows.
    camel = _NAMES.get(name, name)
    return camel if camel not in document else name


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
