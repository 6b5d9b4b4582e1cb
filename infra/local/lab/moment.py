"""Reads the target of a jump (``+10h``, ``2027-03-28T01:59:00+01:00``), and shows times and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from infra.operations.failures import CommandFailed

#: Units, the longest first.
UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
_PART = re.compile(r"(\d+)(w|d|h|min|m|s)")


class BadTarget(CommandFailed):
    """The target of a jump cannot be read; the text says which forms there are."""


def target(text: str, now: datetime) -> datetime:
    """Return the moment that *text* names: a duration from *now*, or a time with its offset from UTC.

    Raises:
        BadTarget: *text* has another form.
    """
    if text.startswith("+"):
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text[1:]:
            units = UNITS | {"m": UNITS["min"]}
            return now + timedelta(seconds=sum(int(number) * units[unit] for number, unit in parts))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadTarget(f"{text!r} is no target. Write +10h, +1d12h30min, or a time such as 2027-03-28T01:59:00+01:00.")
    return found.astimezone(UTC)


def shown(moment: datetime) -> str:
    """Return *moment* as text, to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def duration(seconds: float) -> str:
    """Return a duration in its two longest units, such as ``4 d 2 h``."""
    left, parts = round(seconds), []
    for unit, size in UNITS.items():
        if unit != "w" and left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"
