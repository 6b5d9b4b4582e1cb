"""Webhooks of a workload: what their endpoints have taken, and what a history says they must take."""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from chalicelib.core.egress import signatures
from tests.support.workloads.endpoints import Endpoint

_ANNOUNCED = {"submitted", "approved", "rejected", "disbursed"}
#: The fields with the id of a record or document; `id` stands alone for a lost version.
_IDS = ("applicationId", "requestId", "webhookId", "id")


class Told(NamedTuple):
    """What a delivery tells: an event, and the version of a record; 0 for a document without versions."""

    type: str
    id: str
    version: int


class Hook:
    """A webhook of the workload."""

    def __init__(self, made: dict[str, Any], endpoint: Endpoint) -> None:
        self.id: str = made["webhookId"]
        self.events: list[str] = made["events"]
        self.secrets: list[str] = [made["secret"]]
        self.endpoint = endpoint

    @property
    def path(self) -> str:
        return f"/api/webhooks/{self.id}"

    @property
    def taken(self) -> set[Told]:
        """What the endpoint answered with 204."""
        return {told(call.event) for call in list(self.endpoint.taken)}

    def wants(self, type_: str) -> bool:
        return any(fnmatchcase(type_, pattern) for pattern in self.events)

    @property
    def times_taken(self) -> Counter[str]:
        """How often each delivery was taken."""
        return Counter(call.id for call in list(self.endpoint.taken))

    def check_sequences(self, head: int) -> None:
        """Assert that the deliveries up to the number *head* were taken, and that no event has two numbers."""
        numbers = {call.event["sequence"] for call in self.endpoint.taken}
        assert sorted(numbers) == list(range(1, head + 1)), f"{self.events} has a gap"
        assert len(numbers) == len(self.taken), f"an event of {self.events} has two numbers"

    def check_bodies(self) -> None:
        """Assert that every body verifies, and is the same each time."""
        bodies: dict[str, bytes] = {}
        for call in self.endpoint.calls:
            signatures.verify(self.secrets, call.body, call.headers, call.at)
            assert call.id == call.event["id"]
            assert bodies.setdefault(call.id, call.body) == call.body, f"{call.id} came with two bodies"


def told(event: dict[str, Any]) -> Told:
    """Return what the body of a delivery tells."""
    data = event["data"]
    return Told(event["type"], next(data[name] for name in _IDS if name in data), data.get("version", 0))


def told_by(application_id: str, version: dict[str, Any]) -> Iterator[Told]:
    """Yield what a version of an application's history tells."""
    number = version["version"]
    if version["deleted"]:
        yield Told("application.deleted", application_id, number)
        return
    yield Told(f"application.{'created' if number == 1 else 'updated'}", application_id, number)
    for change in version["changes"]:
        if change["field"] == "status" and change["after"] in _ANNOUNCED:
            yield Told(f"application.{change['after']}", application_id, number)
