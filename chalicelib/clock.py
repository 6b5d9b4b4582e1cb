"""The wall clock, as it is written into what is kept."""

from datetime import UTC, datetime


def stamp() -> str:
    """Return this moment: UTC, ISO 8601 with milliseconds and ``Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
