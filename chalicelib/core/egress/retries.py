"""Repeats of calls: the schedule, and the pause that a server asks for (Retry-After: RFC 9110, section 10.2.3)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz
from http import HTTPStatus
from time import time
from typing import TypeVar

Default = TypeVar("Default", float, None)

_MINUTE, _HOUR = 60, 3600
#: The pauses between the attempts of a call to an address that a user chose: eight attempts within 27 hours and a half.
SCHEDULE_SECONDS = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 10 * _HOUR)
#: The longest pause that a server may ask for.
LONGEST_PAUSE_SECONDS = 24 * _HOUR
#: The comma between two values of one header. The comma within a date stands before the day and the month.
_COMMA = re.compile(r",(?!\s*[0-9]{1,2}[ -][A-Za-z])")
#: Statuses below 500 worth a repeat: the server was busy or timed out.
REPEATED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_SECONDS = re.compile(r"\s*[0-9]+\s*")


def retry_after_seconds(
    header: str | None, default: Default, *, shortest: float, longest: int, sent: str | None = None
) -> float | Default:
    """Return the pause that *header* asks for, as a number or as a date, from *shortest* to *longest* seconds.

    Without a header, or with a malformed one, the pause is *default*. Never raises. A date counts from *sent*, the
    ``Date`` of the same response: both are times of the server's clock, which may differ from this machine's. Without a
    valid *sent*, a date counts from this machine's clock. A date's weekday is not compared. Of several values, as a
    server and its proxy send them, the longest counts.
    """
    return max((max(min(asked, longest), shortest) for asked in _asked(header or "", sent)), default=default)


def _asked(header: str, sent: str | None) -> Iterator[float]:
    """Yield the seconds of each value that is not malformed; a date in the past gives a negative number."""
    for value in _COMMA.split(header):
        # A number too long to parse, a date out of range, neither of both.
        with suppress(OverflowError, ValueError):
            yield int(value) if _SECONDS.fullmatch(value) else _moment(value) - _sent(sent)


def _sent(date: str | None) -> float:
    with suppress(OverflowError, ValueError):
        if date is not None:
            return _moment(date)
    return time()


def _moment(date: str) -> float:
    """Return *date* in seconds since 1970.

    Raises:
        ValueError, OverflowError: *date* is none.
    """
    if (parsed := parsedate_tz(date)) is None:
        raise ValueError(date)
    return mktime_tz(parsed)
