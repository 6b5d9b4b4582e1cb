"""The base of all models that cross the wire: camelCase outside, frozen inside, nothing unknown let in."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

#: Lower-cased, so that a name is taken once however it is typed. An e-mail address is a valid name.
Username = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, min_length=1, max_length=254, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$"
    ),
]

#: What a ULID looks like; a path or query that holds anything else is refused before a store is asked.
Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]

#: JSON knows no difference between 1000 and 1000.0, and some languages write the latter. Stands last in a type.
WHOLE = BeforeValidator(lambda value: int(value) if _is_whole(value) else value)
Whole = Annotated[int, WHOLE]

#: UTC, ISO 8601 with ``Z``.
Instant = AwareDatetime


class Model(BaseModel):
    """What goes in or out as JSON. Unknown fields are refused, numbers are not read from strings."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        # A value that was refused may be a secret, and an error may end up in a log.
        hide_input_in_errors=True,
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()
