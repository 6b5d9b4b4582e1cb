"""A name's addresses: asked for once, within the deadline, and all of them vetted."""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from chalicelib.core.egress.addresses import vet
from chalicelib.core.egress.errors import AddressRefused, TimedOut, UnknownName, Unreachable
from chalicelib.core.egress.sockets import Clock
from chalicelib.core.egress.urls import Target

#: `socket.getaddrinfo`, or what a test puts in its place.
Resolver = Callable[..., Sequence[tuple[Any, ...]]]

#: What a resolver says for a name that does not exist, as opposed to one that it cannot ask about just now.
_UNKNOWN = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def vetted(target: Target, resolve: Resolver, clock: Clock, *, allow_loopback: bool) -> list[str]:
    """Return the addresses of *target*, all of which may be called.

    One that may not condemns the name: whoever mixes public and private addresses hopes for the second try.

    Raises:
        AddressRefused: one of them is not public, or there are none.
        UnknownName, Unreachable, TimedOut: the name has none, or could not be looked up.
    """
    addresses = [target.host] if target.is_address else _looked_up(target, resolve, clock)
    if not addresses or not all(vet(address, allow_loopback=allow_loopback) for address in addresses):
        raise AddressRefused("This leads to an address that is not public.")
    return addresses


def _looked_up(target: Target, resolve: Resolver, clock: Clock) -> list[str]:
    """Return every address of the name, in the resolver's order and without repeats.

    getaddrinfo can be neither interrupted nor given a deadline, so it runs on a thread that is left behind when time is
    up. That thread holds nothing, and ends when the system's resolver gives up, after some seconds of its own or, where
    a Lambda is frozen meanwhile, in a later invocation; its answer is dropped. A pool would let slow names hold up
    others, and callers are few: each leaves one thread per deadline at most.
    """
    answer: Future[Sequence[tuple[Any, ...]]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolve(target.host, target.port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    try:
        found = answer.result(clock.left_seconds())
    except TimeoutError:
        raise TimedOut("The name could not be looked up in time.") from None
    except OSError as error:
        raise _translate(error) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _translate(error: OSError) -> Unreachable:
    known = isinstance(error, socket.gaierror) and error.errno in _UNKNOWN
    return UnknownName() if known else Unreachable("The name cannot be looked up just now.")
