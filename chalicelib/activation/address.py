"""Whether a lead's address can be a username. Imported by the worker alone: the checks need tables of domains."""

from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email
from pydantic import TypeAdapter, ValidationError

from chalicelib.core.models import Username

_USERNAME: TypeAdapter[str] = TypeAdapter(Username)


class Address(NamedTuple):
    """A username, or the reason why the address cannot be one."""

    username: str | None
    reason: str | None = None


def read(email: str) -> Address:
    """Return the username of *email*, the address in lower case, or the reason why there is none. No DNS is asked."""
    try:
        found = validate_email(email.strip(), check_deliverability=False)
    except EmailNotValidError as error:
        return Address(None, f"address-invalid: {error}")
    try:
        return Address(_USERNAME.validate_python(found.normalized))
    except ValidationError:
        return Address(None, "address-not-a-username: it has characters that no username may have")
