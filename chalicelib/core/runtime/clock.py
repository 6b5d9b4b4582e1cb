"""Moments as they are written into what is kept."""

from datetime import UTC, datetime


def stamp(moment: datetime | None = None) -> str:
    """Return *moment*, or else this one: UTC, ISO 8601 with milliseconds and ``Z``, so that it sorts as text."""
    at = moment or datetime.now(UTC)
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
