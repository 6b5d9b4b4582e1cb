"""A name's addresses: one lookup, within the deadline, every address vetted."""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from chalicelib.core.egress.addresses import vet
from chalicelib.core.egress.errors import AddressRefused, Failure, TimedOut, UnknownName, Unreachable
from chalicelib.core.egress.sockets import Clock
from chalicelib.core.egress.urls import Target
from chalicelib.core.runtime.settings import EgressSettings

#: `socket.getaddrinfo`, or a test's replacement.
Resolver = Callable[..., Sequence[tuple[Any, ...]]]

#: A resolver's error codes for a name that does not exist; other codes mean a failed lookup.
_UNKNOWN = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def vetted(target: Target, resolve: Resolver, clock: Clock, options: EgressSettings) -> list[str]:
    """Return the addresses of *target*, all of them allowed.

    One forbidden address refuses the name: a mix of public and private addresses is an attack on the second try. Where
    *options* admit loopback addresses, the refused ports are refused there.

    Raises:
        AddressRefused: an address is not public or has a refused port, or there are no addresses.
        UnknownName, Unreachable, TimedOut: the name does not exist, or could not be looked up.
    """
    addresses = [target.host] if target.is_address else _look_up(target, resolve, clock)
    if not addresses or not all(vet(address, allow_loopback=options.allow_loopback) for address in addresses):
        raise AddressRefused("This leads to an address that is not public.")
    if target.port in options.refused_ports and not all(vet(address) for address in addresses):
        raise AddressRefused("This leads to a port of Holdfast's own stack.")
    return addresses


def _look_up(target: Target, resolve: Resolver, clock: Clock) -> list[str]:
    """Return every address of the name, in the resolver's order and without repeats.

    getaddrinfo can be neither interrupted nor given a deadline, so getaddrinfo runs on a thread that is abandoned at
    the deadline. The abandoned thread holds no resources and ends when the system's resolver gives up: after some
    seconds or, if the Lambda is frozen meanwhile, in a later invocation. The late result is dropped. In a pool, slow
    names would delay others; callers are few, and each caller abandons at most one thread per deadline.
    """
    answer: Future[Sequence[tuple[Any, ...]]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolve(target.host, target.port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - the waiting caller raises the error
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
    return UnknownName() if known else Unreachable("The name cannot be looked up just now.", Failure.NAME)
