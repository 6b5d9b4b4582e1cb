"""Hops: how many deliveries of webhooks led to the present call, so that a circle of webhooks ends.

A delivery carries the number in the header ``Holdfast-Hops``. A receiver that calls Holdfast because of a delivery
sends the header back. The number goes with the record or document that the call changes, and from there to the
deliveries that follow.
"""

from chalicelib.core.runtime import logs

HEADER = "Holdfast-Hops"
#: Deliveries caused by more hops are refused.
MOST = 5
#: Numbers above are read as this number.
_HIGHEST = 99
#: Python reads no number of thousands of digits.
_DIGITS = 9


def read(header: str | None) -> int:
    """Return the number in *header*; 0 without a header, or if the header is no whole number."""
    return min(int(header[:_DIGITS]), _HIGHEST) if header and header.isascii() and header.isdecimal() else 0


def current() -> int:
    """Return the number of hops that led to the present invocation."""
    return int(logs.line().fields.get("hops", 0))
