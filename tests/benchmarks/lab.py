"""Jumps of a lab's clock by way of due moments: real seconds, beside the time that passes on the stack's clock."""

import tempfile
import time
from pathlib import Path
from typing import Any

from infra.local.lab.lab import Lab
from infra.local.stack import Stack
from tests.benchmarks.api import Api, sign_in
from tests.benchmarks.report import show

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_PEOPLE = [f"person-{number}" for number in range(11)]
#: A visit that leaves work to a later one is followed by others.
_VISITS_PER_MOMENT = 5


def run(*, smoke: bool) -> None:
    """Jump across an approval of a week, 30 hours of escalations, and a year with many timeouts."""
    moments = 20 if smoke else 1_000
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder), lab=True) as stack,
        Lab(stack.folder, stack.environment, stack.client) as lab,
    ):
        api = _caller(stack)
        # The first visits start the functions.
        _ask(api, timeoutMs=60_000)
        lab.advance(minutes=2)
        rows = []
        _ask(api, timeoutMs=7 * _DAY_MS, escalateTo=_escalations(3, _DAY_MS))
        rows.append(_jump(lab, "an approval of 7 days, 3 escalations", hours=8 * 24))
        _ask(api, timeoutMs=30 * _HOUR_MS, escalateTo=_escalations(10, 2.9 * _HOUR_MS))
        rows.append(_jump(lab, "30 h of escalations, 10 in all", hours=31))
        for number in range(moments):
            _ask(api, timeoutMs=_HOUR_MS + number * 6 * _DAY_MS // moments)
        visits = moments * _VISITS_PER_MOMENT
        rows.append(_jump(lab, f"a year with {moments} timeouts", hours=365 * 24, most_visits=visits))
    title = "jumps by way of every due moment; ratio: time on the stack's clock by real time"
    show(title, ("jump", "visits", "real s", "s per visit", "ratio"), rows)


def _caller(stack: Stack) -> Api:
    """Return a service with an API key, which no jump ends."""
    admin = Api(stack, sign_in(stack))
    for name in _PEOPLE:
        admin.call("POST", "/api/users", {"username": name, "password": "no matter", "roles": ["user"]})
    admin.call("POST", "/api/users", {"username": "asking", "password": "no matter", "roles": ["service"]})
    return Api(stack, admin.call("POST", "/api/users/asking/keys", {"name": "bench"})["key"])


def _ask(api: Api, **options: Any) -> None:
    api.call("POST", "/send-notification", {"username": _PEOPLE[0], "wait": False, **options})


def _escalations(number: int, every_ms: float) -> list[dict[str, Any]]:
    people = _PEOPLE[1 : number + 1]
    return [{"username": name, "afterMs": round(step * every_ms)} for step, name in enumerate(people, 1)]


def _jump(lab: Lab, name: str, *, hours: float, most_visits: int = 1_000) -> list[str]:
    began = time.monotonic()
    visits = lab.advance(hours=hours, most_visits=most_visits)
    seconds = time.monotonic() - began
    ratio = f"{hours * 3600 / seconds:,.0f}"
    return [name, str(len(visits)), f"{seconds:.0f}", f"{seconds / len(visits):.2f}", ratio]
