"""The store round trips of each route, counted by the functions' own log records."""

import json
import random
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from infra.local.stack import Stack
from tests.benchmarks.api import Api, an_application, sign_in
from tests.benchmarks.report import percentile, show
from tests.support.waiting import eventually

_USER = "person"
_BATCH = 10
#: The limit of some routes, the read of the session included.
_HELD_TO = {
    "GET /api/applications": 2,
    "GET /api/applications/{application_id}": 2,
    "PUT /api/applications/{application_id}": 3,
    "POST /api/applications/batch-update": _BATCH + 2,
}


class Call(NamedTuple):
    """The round trips and the time of a call."""

    trips: int
    ms: float


def run(*, smoke: bool, lab: bool = False) -> None:
    """Call every route once as a warm-up, then repeatedly, and print the counts of the log records."""
    passes = 1 if smoke else 5
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), lab=lab) as stack:
        api = Api(stack, sign_in(stack))
        api.call("POST", "/api/users", {"username": _USER, "password": "no matter", "roles": ["user"]})
        _call_all(api)
        began_ms = round(stack.clock.now().timestamp() * 1000)
        for _ in range(passes):
            _call_all(api)
        rows = [_row(route, calls) for route, calls in sorted(_counted(stack, began_ms).items())]
    # A writer needs a further round trip if the stream projected the change first.
    title = f"store round trips per request, the session's read included; batches of {_BATCH}"
    show(title, ("route", "calls", "fewest", "p50", "most", "p50 ms", "held to", "p50 kept"), rows)


def _counted(stack: Stack, since_ms: int) -> dict[str, list[Call]]:
    """Return the calls since *since_ms*, by route, from their log records."""
    logs, seen = stack.client("logs"), defaultdict(list)
    for function in ("api",):
        group = f"/aws/lambda/holdfast-{stack.stage}-{function}"
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms):
            for event in page["events"]:
                line = json.loads(event["message"]) if event["message"].startswith("{") else {}
                if line.get("kind") == "request" and line["status"] < 300:
                    call = Call(int(line["storeRoundTrips"]), float(line["durationMs"]))
                    seen[f"{line['method']} {line['route']}"].append(call)
    return seen


def _row(route: str, calls: list[Call]) -> list[str]:
    trips = [call.trips for call in calls]
    p50, most = percentile(trips, 50), _HELD_TO.get(route)
    held = ["", ""] if most is None else [str(most), "yes" if p50 <= most else "no"]
    numbers = [str(len(calls)), str(min(trips)), f"{p50:g}", str(max(trips))]
    return [route, *numbers, f"{percentile([call.ms for call in calls], 50):.1f}", *held]


def _call_all(api: Api) -> None:
    _ask_the_service(api)
    _open_sessions(api)
    _make_users(api)
    _ask_people(api)
    _work_on_applications(api)
    _read_the_ledger(api)


def _ask_the_service(api: Api) -> None:
    api.call("GET", "/health")
    api.call("GET", "/ready")
    api.call("GET", "/openapi.json")
    api.call("GET", "/api/admin/queue-stats")


def _open_sessions(api: Api) -> None:
    api.call("POST", "/api/sessions", {"username": _USER, "password": "no matter"})
    opened = api.call("POST", "/api/sessions", {"username": _USER, "password": "no matter"})
    api.call("GET", "/api/sessions/current")
    api.call("GET", f"/api/sessions?username={_USER}")
    api.call("DELETE", f"/api/sessions/{opened['sessionId']}")
    api.call("DELETE", f"/api/users/{_USER}/sessions")


def _make_users(api: Api) -> None:
    name = f"u{random.randrange(10**9)}"  # a name, not a secret
    api.call("POST", "/api/users", {"username": name, "password": "no matter", "roles": ["user"]})
    api.call("GET", "/api/users")
    api.call("GET", f"/api/users/{name}")
    api.call("PATCH", f"/api/users/{name}", {"roles": ["officer"]})
    api.call("DELETE", f"/api/users/{name}")


def _ask_people(api: Api) -> None:
    asked = [api.call("POST", "/send-notification", {"username": _USER, "wait": False}) for _ in range(3)]
    first, second, _ = [request["requestId"] for request in asked]
    api.call("GET", "/api/pending-responses")
    api.call("GET", f"/api/pending-responses/{first}")
    api.call("POST", f"/api/pending-responses/{first}/resolve", {"action": "approve"})
    api.call("POST", f"/api/pending-responses/{second}/cancel")
    api.call("POST", "/api/user-action", {"username": _USER, "action": "approve"})
    api.call("POST", "/api/pending-responses/cleanup")


def _work_on_applications(api: Api) -> None:
    made = [api.call("POST", "/api/applications", an_application())["applicationId"] for _ in range(_BATCH)]
    first, second = made[:2]
    api.call("GET", "/api/applications")
    api.call("GET", f"/api/applications/{first}")
    api.call("PUT", f"/api/applications/{first}", {"termMonths": 36, "version": 1})
    for status in ("submitted", "approved"):
        moved = api.call("POST", "/api/applications/batch-update", {"applicationIds": made, "status": status})
        assert sorted(moved["updated"]) == sorted(made), moved
    # History follows the system of record.
    history = f"/api/applications/{first}/history"
    eventually(lambda: len(api.call("GET", history)["items"]) >= 4, every_seconds=0.2)
    api.call("POST", f"/api/applications/{first}/disburse")
    api.call("DELETE", f"/api/applications/{second}?version=3")


def _read_the_ledger(api: Api) -> None:
    api.call("GET", "/api/ledger")
    assert api.call("GET", "/api/ledger/verify")["ok"]
