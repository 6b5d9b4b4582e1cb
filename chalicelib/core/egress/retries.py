"""Repeats of calls: the schedule, and the pause that a server asks for (Retry-After: RFC 9110, section 10.2.3)."""

import re
from collections.abc import Iterator
from typing import TypeVar

Default = TypeVar("Default", float, None)

_MINUTE, _HOUR = 60, 3600
#: The pauses between the attempts of a call to an address that a user chose: eight attempts within 27 hours and a half.
SCHEDULE_SECONDS = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 10 * _HOUR)
#: The longest pause that a server may ask for.
LONGEST_PAUSE_SECONDS = 24 * _HOUR
#: The comma between two values of one header. The comma within a date stands before the day and the month.
_COMMA = re.compile(r",(?!\s*[0-9]{1,2}[ -][A-Za-z])")


def retry_after_seconds(header: str | None, default: Default, *, shortest: float, longest: int) -> float | Default:
    """Return the pause that *header* asks for, as a number or as a date, from *shortest* to *longest* seconds.

    Without a header, or with a malformed one, the pause is *default*. Never raises. A date counts from this machine's
    clock; its weekday is not compared. Of several values, as a server and its proxy send them, the longest counts.
    """
    return max((max(asked, shortest) for asked in _asked(header or "", longest)), default=default)


def _asked(header: str, longest: int) -> Iterator[float]:
    """Yield the seconds of each value that is not malformed, from 0 to *longest*."""
    # Imported here: workers need urllib3, and the API, which imports this module, does not.
    from urllib3 import Retry  # noqa: PLC0415
    from urllib3.exceptions import InvalidHeader  # noqa: PLC0415

    for value in _COMMA.split(header):
        try:
            yield Retry(retry_after_max=longest).parse_retry_after(value)
        except (InvalidHeader, OverflowError, ValueError):
            # The builtin errors: a number too long to parse, a date out of range.
            continue
