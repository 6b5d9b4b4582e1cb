"""Times in the text form of the stores."""

from datetime import UTC, datetime


def stamp(moment: datetime | None = None) -> str:
    """Return *moment*, by default the present, in UTC, ISO 8601 with milliseconds and ``Z``: texts sort by time."""
    at = moment or datetime.now(UTC)
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
