"""Checks whether each store can be reached, with one cheap query per store."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from chalicelib.cluster.models import Reach
from chalicelib.core.errors import Unavailable
from chalicelib.core.stores import clients
from chalicelib.core.stores.driver_errors import reaching_mongodb


def reach() -> dict[str, Reach]:
    """Ask each store once. Never raises for an unreachable store; the wait is bounded by the driver's deadline."""
    return {name: _timed(ask) for name, ask in _STORES.items()}


def _ask_mongodb() -> None:
    with reaching_mongodb():
        clients.mongodb().command("ping")


def _ask_dynamodb() -> None:
    # A read of a missing key is the cheapest read to prove access to the table.
    clients.table("users").get("probe")


_STORES: dict[str, Callable[[], Any]] = {"mongodb": _ask_mongodb, "dynamodb": _ask_dynamodb}


def _timed(ask: Callable[[], Any]) -> Reach:
    started = perf_counter()
    try:
        ask()
        ok = True
    except Unavailable:
        ok = False
    return Reach(ok=ok, latency_ms=round((perf_counter() - started) * 1000, 1))
