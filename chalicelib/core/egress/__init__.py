"""Egress: every call to an address that a user chose, as webhooks and callbacks are.

errors.py     why a call was not made, or brought no answer
addresses.py  which IP addresses may be called
urls.py       a URL taken apart once, strictly
dns.py        a name's addresses, asked for once, all of them vetted
sockets.py    sockets that no server keeps beyond the deadline
client.py     check, post
retries.py    how long a server wants to be left alone
signatures.py what we send is signed, as Standard Webhooks says

The name is looked up once, every address it has is vetted, and the connection goes to an address that was vetted: a
name that changes its mind in between (DNS rebinding) gains nothing. The certificate is checked for the name. Redirects
are not followed, proxies not used, nothing is sent twice, and a call ends at its deadline whatever the server does.
"""

from chalicelib.core.egress.addresses import vet
from chalicelib.core.egress.client import Reply, check, post
from chalicelib.core.egress.errors import AddressRefused, EgressError, HeaderRefused, TimedOut, UnknownName, Unreachable
from chalicelib.core.egress.retries import retry_after_seconds

__all__ = [
    "AddressRefused",
    "EgressError",
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
