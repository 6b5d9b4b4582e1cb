"""Egress: all calls to addresses that a user chose, such as webhooks and callbacks.

errors.py     the reasons for which a call is refused or fails
addresses.py  which IP addresses may be called
urls.py       a URL taken apart once, strictly
dns.py        a name's addresses: one lookup, every address vetted
sockets.py    sockets that end at the call's deadline
client.py     check a URL, post to a URL
retries.py    the schedule of repeats, and the pause that a server asks for (Retry-After)
signatures.py signs and verifies messages, by Standard Webhooks

A call looks the name up once, vets every address of the name, and connects to a vetted address: a name that changes
its addresses in between (DNS rebinding) gains nothing. The certificate is checked for the name. Redirects are not
followed, proxies not used, nothing is sent twice. A call ends at the deadline, even if the server misbehaves.
"""

from chalicelib.core.egress.addresses import vet
from chalicelib.core.egress.client import KEPT_BODY_BYTES, Reply, check, post
from chalicelib.core.egress.errors import (
    AddressRefused,
    EgressError,
    Failure,
    HeaderRefused,
    TimedOut,
    UnknownName,
    Unreachable,
)
from chalicelib.core.egress.retries import LONGEST_PAUSE_SECONDS, SCHEDULE_SECONDS, retry_after_seconds

__all__ = [
    "KEPT_BODY_BYTES",
    "LONGEST_PAUSE_SECONDS",
    "SCHEDULE_SECONDS",
    "AddressRefused",
    "EgressError",
    "Failure",
    "HeaderRefused",
    "Reply",
    "TimedOut",
    "UnknownName",
    "Unreachable",
    "check",
    "post",
    "retry_after_seconds",
    "vet",
]
