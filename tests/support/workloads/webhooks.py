"""Changes of applications, answers to questions, and webhooks that follow both, while their endpoints fail for moments.

`Workload.act` takes one random step. A step may be refused or cut off: the history of the applications says what was
committed. `Workload.check` waits until the deliveries have settled, and asserts what receivers may rely on.
"""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chalicelib.webhooks.health import Health
from tests.support.approvals import request_path
from tests.support.client import Client, json_of
from tests.support.waiting import eventually
from tests.support.workloads.endpoints import Endpoint, Failure, serving
from tests.support.workloads.hooks import Hook, Told, told_by

_APPLICATION = {
    "applicantName": "Ann Lee",
    "email": "ann@example.org",
    "amountMinor": 1_000_00,
    "currency": "EUR",
    "termMonths": 12,
}
_MOVES = ("submitted", "review", "approved", "rejected")
#: Answers to a step: done, overtaken by another step, cut off, or refused while a store is down.
_ANSWERS = {200, 201, 202, 204, 404, 409, 429, 502, 503, 504}
_ANY_VERSION = {"If-Match": "*"}
#: Failed deliveries pass closed lanes; messages of killed functions come again after a minute.
_SETTLED_SECONDS = 300


class Workload:
    """Random steps by several threads, and what became of them. *admin* may do all, *person* is asked questions."""

    def __init__(self, admin: Client, person: Client, username: str, database: Database[dict[str, Any]]) -> None:
        self._admin, self._person, self._username, self._database = admin, person, username, database
        self.hooks: list[Hook] = []
        self.applications: list[str] = []
        self.questions: list[str] = []
        #: The calls whose answers may have been lost: a receiver gets as many deliveries again, at most.
        self.lost_answers = 0
        self._steps: list[tuple[int, Callable[[random.Random], None]]] = [
            (6, self.make),
            (12, self._change),
            (9, self._move),
            (1, self._delete),
            (2, self._ask),
            (2, self._resolve),
            (1, self._pause),
            (1, self._rotate),
            (2, self._fail),
        ]

    def add(self, endpoint: Endpoint, **fields: Any) -> Hook:
        """Make a webhook that calls *endpoint*."""
        new = {"url": endpoint.url, "events": ["*"], "rateLimitPerMinute": 60_000} | fields
        hook = Hook(json_of(self._admin.post("/api/webhooks", new), 201), endpoint)
        self.hooks.append(hook)
        return hook

    def close(self) -> None:
        """Delete the webhooks."""
        for hook in self.hooks:
            self._admin.delete(hook.path)

    def act(self, rng: random.Random) -> None:
        """Take a random step."""
        weights, steps = zip(*self._steps, strict=True)
        (step,) = rng.choices(steps, weights)
        step(rng)

    def make(self, rng: random.Random) -> None:
        """Make an application. The id is known before the call, which may be cut off."""
        # Never one of another workload, which may have begun with the same seed.
        application_id = f"w-{secrets.token_hex(8)}"
        self.applications.append(application_id)
        status = rng.choice(["draft", "submitted"])
        self._call("POST", "/api/applications", {**_APPLICATION, "applicationId": application_id, "status": status})

    def _change(self, rng: random.Random) -> None:
        if path := self._some_application(rng):
            self._call("PUT", path, {"applicantName": f"Ann {rng.getrandbits(32):x}"}, headers=_ANY_VERSION)

    def _move(self, rng: random.Random) -> None:
        if path := self._some_application(rng):
            if rng.random() < 0.1:
                self._call("POST", f"{path}/disburse")
            else:
                self._call("PUT", path, {"status": rng.choice(_MOVES)}, headers=_ANY_VERSION)

    def _delete(self, rng: random.Random) -> None:
        if path := self._some_application(rng):
            self._call("DELETE", path, headers=_ANY_VERSION)

    def _ask(self, _: random.Random) -> None:
        question = {"username": self._username, "wait": False, "timeoutMs": 3_600_000}
        answer = self._call("POST", "/send-notification", question)
        if answer is not None and answer.status_code == 202:
            self.questions.append(answer.json()["requestId"])

    def _resolve(self, rng: random.Random) -> None:
        if self.questions:
            path = request_path(rng.choice(self.questions), "resolve")
            self._call("POST", path, {"action": rng.choice(["approve", "reject"])}, caller=self._person)

    def _pause(self, rng: random.Random) -> None:
        """Pause a webhook for the time of another step."""
        path = rng.choice(self.hooks).path
        self._call("POST", f"{path}/pause")
        self._change(rng)
        self._call("POST", f"{path}/resume")

    def _rotate(self, rng: random.Random) -> None:
        """Rotate a secret until the secret is known: an answer that is lost shows its secret to nobody."""
        hook = rng.choice(self.hooks)
        answer = self._call("POST", f"{hook.path}/rotate-secret")
        if answer is not None and answer.status_code == 200:
            hook.secrets.append(answer.json()["secret"])

    def _fail(self, rng: random.Random) -> None:
        # Each failed probe of a closed lane doubles the time until the next. MongoDB may be down.
        with suppress(PyMongoError):
            if hooks := self._open():
                rng.choice(hooks).endpoint.fail(rng.choice(list(Failure)), rng.randint(1, 3))

    def _some_application(self, rng: random.Random) -> str:
        # Mostly the newest, which are still open.
        return f"/api/applications/{rng.choice(self.applications[-8:])}" if self.applications else ""

    def _call(
        self, method: str, path: str, body: Any = None, *, caller: Client | None = None, **options: Any
    ) -> requests.Response | None:
        """Return the answer, or None if the connection was lost."""
        try:
            answer = (caller or self._admin).call(method, path, body, **options)
        except requests.RequestException:
            return None
        assert answer.status_code in _ANSWERS, f"{method} {path}: {answer.status_code}: {answer.text[:500]}"
        return answer

    def waiting(self) -> int:
        """Return how many deliveries are due or in flight. A lane that its breaker has closed starts no work."""
        due = {"webhook": {"$in": [hook.id for hook in self._open()]}, "due": {"$exists": True}}
        return self._database.deliveries.count_documents(due)

    def _open(self) -> list[Hook]:
        """Return the webhooks whose lanes no breaker has closed."""
        closed = self._database.webhook_lanes.distinct("_id", {"breakers.opensAt": {"$gt": datetime.now(UTC)}})
        return [hook for hook in self.hooks if hook.id not in closed]

    def check(self, deadline_seconds: float = _SETTLED_SECONDS) -> int:
        """Wait until every delivery has ended, assert the guarantees, and return the number of deliveries.

        Every event of every committed change was taken by every webhook that wants it. Sequences have no gap. An id
        comes again only if its answer was lost. A body is the same each time, and verifies. No delivery is forgotten.
        """
        for hook in self.hooks:
            hook.endpoint.recover()
            eventually(partial(self._resumed, hook), _SETTLED_SECONDS, retry=requests.RequestException)
        committed = self.committed()
        eventually(partial(self._complete, committed), deadline_seconds, every_seconds=0.5, retry=AssertionError)
        for hook in self.hooks:
            head = self._database.webhook_heads.find_one({"_id": hook.id}) or {"head": 0}
            hook.check_sequences(head["head"])
            hook.check_bodies()
        assert self.repeated <= self.lost_answers, f"{self.lost_answers} answers were lost; {self._repeats()}"
        assert Health(self._database, timedelta(days=5)).forgotten([hook.id for hook in self.hooks]) == 0
        return sum(len(hook.taken) for hook in self.hooks)

    @property
    def repeated(self) -> int:
        """The number of deliveries that came again after they were taken."""
        return sum(number - 1 for hook in self.hooks for number in hook.times_taken.values())

    def _repeats(self) -> list[Any]:
        """Return the attempts of the deliveries that were taken twice, for a failure's text."""
        ids = [id_ for hook in self.hooks for id_, number in hook.times_taken.items() if number > 1]
        return [each["attempts"] for each in self._database.deliveries.find({"_id": {"$in": ids}})]

    def _resumed(self, hook: Hook) -> bool:
        return self._admin.post(f"{hook.path}/resume").status_code == 200

    def _complete(self, committed: set[Told]) -> bool:
        """Whether each webhook has taken what it wants, and no delivery is left."""
        for hook in self.hooks:
            missing = {each for each in committed if hook.wants(each.type)} - hook.taken
            assert not missing, f"{hook.events} lacks {len(missing)}: {sorted(missing)[:5]}"
        ours = {"webhook": {"$in": [hook.id for hook in self.hooks]}}
        left = Counter(each["status"] for each in self._database.deliveries.find(ours, {"status": 1}))
        assert set(left) <= {"delivered"}, dict(left)
        return True

    def committed(self) -> set[Told]:
        """Return what every committed change tells, once the histories are complete."""
        found = {each for application_id in self.applications for each in self._told_by(application_id)}
        for request_id in self.questions:
            document = json_of(self._patiently(request_path(request_id)))
            if document["status"] == "resolved":
                found.add(Told("approval.resolved", request_id, 0))
        return found

    def _told_by(self, application_id: str) -> Iterator[Told]:
        path = f"/api/applications/{application_id}"

        def complete() -> list[Any] | None:
            current, history = self._patiently(path), self._patiently(f"{path}/history?limit=200")
            if history.status_code == 404:
                return []
            versions: list[Any] = json_of(history)["items"][::-1]
            deleted = current.status_code == 404
            last = len(versions) if deleted else json_of(current)["version"]
            whole = [each["version"] for each in versions] == list(range(1, last + 1))
            return versions if whole and versions and versions[-1]["deleted"] == deleted else None

        # An application that was never made has no history.
        if self._patiently(f"{path}/history").status_code != 404:
            for version in eventually(complete, _SETTLED_SECONDS, every_seconds=0.2):
                yield from told_by(application_id, version)

    def _patiently(self, path: str) -> requests.Response:
        def ask() -> requests.Response | None:
            answer = self._admin.get(path)
            return answer if answer.status_code in {200, 404} else None

        # The truth of a `Response` is its status.
        return eventually(lambda: [answer] if (answer := ask()) is not None else None, retry=requests.RequestException)[
            0
        ]


@contextmanager
def running(
    admin: Client, database: Database[dict[str, Any]], hooks: Sequence[dict[str, Any]] | None = None
) -> Iterator[Workload]:
    """Yield a workload with webhooks of the fields *hooks*, each with an endpoint; three webhooks by default."""
    username, password = f"w{secrets.token_hex(6)}", secrets.token_hex(12)
    json_of(admin.post("/api/users", {"username": username, "password": password, "roles": ["user"]}), 201)
    person = Client(admin.url).signed_in(username, password)
    wanted = hooks or (
        {},
        {"events": ["application.*"], "maxInFlight": 2},
        {"events": ["application.submitted", "application.deleted", "approval.resolved"], "priority": "high"},
    )
    workload = Workload(admin, person, username, database)
    with ExitStack() as servers:
        try:
            for fields in wanted:
                workload.add(servers.enter_context(serving()), **fields)
            yield workload
        finally:
            workload.close()
