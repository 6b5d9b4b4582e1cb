"""The base of all models of requests, responses and messages: camelCase in JSON, frozen, no unknown fields."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

#: The type of the fault that a `Form` reports.
FORM = "form"
#: The member of a JSON schema that holds the sentence of a `Form`.
SCHEMA_FORM = "x-form"


@dataclass(frozen=True, slots=True)
class Form:
    """Says in one sentence which values a type takes. Comes last in a type; callers read *sentence* for any fault.

    Without a `Form`, the fault of a pattern says nothing of the pattern, as callers do not read regular expressions.
    """

    sentence: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type, with the sentence in place of every fault."""
        return core_schema.custom_error_schema(handler(source), FORM, custom_error_message=self.sentence)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the type's JSON schema, with the sentence, which is also the description of a type without one."""
        schema = handler(core)
        return {**schema, "description": schema.get("description", self.sentence), SCHEMA_FORM: self.sentence}


#: Lower-cased, so that names which differ in case alone are one name. Nearly every e-mail address is a valid name; a
#: name cannot have the separators of paths (/ ? # %), nor '$', with which MongoDB's expressions begin.
Username = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=1,
        max_length=254,
        pattern=r"^[A-Za-z0-9_!&'*+=^{}~-][A-Za-z0-9._@!&'*+=^{}~-]*$",
    ),
    Form("must be 1 to 254 letters, digits or signs of e-mail addresses, and not begin with '.' or '@'"),
]

#: The id of a job, chosen by the caller. An id of dots alone would not be a path segment.
SessionId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"),
    Form("must be 1 to 128 letters, digits, '.', '_' or '-', and not begin with '.'"),
]
JobType = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"),
    Form("must be 1 to 64 letters, digits, '.', '_' or '-', and not begin with '.'"),
]

#: The form of a ULID. A path or query with any other text is refused before a store is asked.
Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$"),
    Form("must be an id that an answer has given: 26 digits and capital letters"),
]

#: The id of a device, chosen by the app. The ids of platforms and libraries fit. An id of dots alone would not be a
#: path segment.
DeviceId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$"),
    Form("must be 1 to 128 letters, digits, '.', '_', ':' or '-', and not begin with '.'"),
]

#: Reads 1000.0 as 1000: in JSON both are the same number, and some languages write the former. Comes last in a type.
WHOLE = BeforeValidator(lambda value: int(value) if _is_whole(value) else value)
Whole = Annotated[int, WHOLE]

_WRITTEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE
)


def _read(value: object) -> object:
    # Pydantic alone reads digits such as 20300101000000 as seconds or milliseconds since 1970.
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.upper() if _WRITTEN.fullmatch(value) else "")
    except ValueError:
        raise ValueError("must be a time in ISO 8601 with an offset, such as 2030-01-31T12:00:00Z") from None


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time of the years 1 to 9999 in UTC") from None


#: UTC, ISO 8601 with ``Z``. Text with another offset is accepted and converted to UTC.
Instant = Annotated[AwareDatetime, BeforeValidator(_read), AfterValidator(_in_utc)]


class Model(BaseModel):
    """A value that is read or written as JSON. Unknown fields are refused; a string is not read as a number."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        # An invalid value may be a secret, and an error may be logged.
        hide_input_in_errors=True,
        # Pydantic compiles a model when the model is first used: a function uses few of the models that it imports.
        defer_build=True,
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()
