"""A rate of sends by POST beside that of /health, and devices that join at once beside devices that ping at once."""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.local.stack import Stack
from tests.benchmarks.connections import memory, show_size
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.client import Client, json_of
from tests.support.sockets import Socket, connect, url_of

#: The connections of one account, by the default of ``SOCKETS_PER_ACCOUNT``.
_PER_ACCOUNT = 20
#: Callers at once, and the messages that wait for each account.
_CALLERS, _WAITING = 8, 5
_PASSWORD = secrets.token_hex(12)


def crowd(stack: Stack, devices: int) -> None:
    """Measure, and print two tables."""
    admin = Client(stack.url).signed_in("admin", stack.admin_password or "")
    names = [f"crowd-{number}" for number in range(-(-devices // _PER_ACCOUNT))]
    people = {name: _person(stack, admin, name) for name in names}
    _rates(stack, people, devices * 2)
    for name in names:
        for _ in range(_WAITING):
            json_of(admin.post("/api/messages", {"to": name, "chatId": "crowd", "message": "x" * 900}), 201)
    CONSOLE.log(f"{devices} devices")
    owners = [people[names[number // _PER_ACCOUNT]] for number in range(devices)]
    before = memory(stack)
    sockets = [connect(url_of(stack.url), "holdfast", f"token.{owner.token}") for owner in owners]
    try:
        _answers(sockets, lambda _: {"action": "ping"}, "pong")
        show_size(stack, devices, memory(stack) - before)
        pings = _answers(sockets, lambda _: {"action": "ping"}, "pong")
        first = _answers(sockets, _join, "messages")
        again = _answers(sockets, _join, "messages")
    finally:
        for socket in sockets:
            socket.close()
    base = percentile(pings, 50)
    rows = [
        [what, f"{percentile(ms, 50):.0f}", f"{percentile(ms, 99):.0f}", f"{percentile(ms, 50) / base:.2f}"]
        for what, ms in (("ping", pings), ("first join of each", first), ("second join", again))
    ]
    show(f"{devices} devices at once, until the first answer", ("frame", "p50 ms", "p99 ms", "ratio to pings"), rows)


def _rates(stack: Stack, people: dict[str, Client], calls: int) -> None:
    """Compare the rates of sends and of /health, from as many callers."""
    senders = [
        _person(stack, Client(stack.url).signed_in("admin", stack.admin_password or ""), f"sender-{number}")
        for number in range(_CALLERS)
    ]
    (receiver, *_) = people

    def send(sender: Client) -> None:
        json_of(sender.post("/api/messages", {"to": receiver, "chatId": "rate", "message": "x" * 900}), 201)

    def health(sender: Client) -> None:
        json_of(sender.get("/health"))

    rates = {what: _rate(act, senders, calls) for what, act in (("GET /health", health), ("POST /api/messages", send))}
    base = rates["GET /health"]
    rows = [[what, f"{rate:.0f}", f"{rate / base:.2f}"] for what, rate in rates.items()]
    show(f"{calls} calls by {_CALLERS} callers", ("call", "per second", "ratio to /health"), rows)


def _rate(act: Callable[[Client], None], callers: Sequence[Client], calls: int) -> float:
    with ThreadPoolExecutor(len(callers)) as pool:
        list(pool.map(act, callers))
        began = time.perf_counter()
        list(pool.map(act, [callers[number % len(callers)] for number in range(calls)]))
    return calls / (time.perf_counter() - began)


def _answers(sockets: Sequence[Socket], frame: Callable[[int], Any], name: str) -> list[float]:
    """Send a frame on each connection at once; return the milliseconds until each one's event *name*."""

    def ask(number: int) -> float:
        began = time.perf_counter()
        sockets[number].send(frame(number))
        sockets[number].until(name)
        return (time.perf_counter() - began) * 1000

    with ThreadPoolExecutor(len(sockets)) as pool:
        return list(pool.map(ask, range(len(sockets))))


def _join(number: int) -> dict[str, str]:
    # More devices join than an account remembers.
    return {"action": "join_chat", "deviceId": f"device-{number % 10}"}


def _person(stack: Stack, admin: Client, username: str) -> Client:
    json_of(admin.post("/api/users", {"username": username, "password": _PASSWORD, "roles": ["user"]}), 201)
    return Client(stack.url).signed_in(username, _PASSWORD)
