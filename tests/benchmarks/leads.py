"""Activations: the answer to a list of leads, leads per second beside bare writes, and the memory of the functions.

The answer is compared with the answer to a body of the same size that is read and refused. The bare writes are those of
the same users (DynamoDB), leads (MongoDB) and mails, from as many threads as there are workers, past Holdfast.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from pymongo import MongoClient

from chalicelib.activation.models import CHUNK
from chalicelib.activation.queues import ACTIVATION, MAIL
from chalicelib.core.stores.dynamodb import Table
from chalicelib.users.index import key
from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.client import Client, json_of, patiently
from tests.support.ses import MailServer, Taken
from tests.support.waiting import eventually

#: The most milliseconds of an answer beyond those of a body that is refused.
_HELD_TO_MS = 300
_ROUNDS = 7
_DEADLINE_SECONDS = 3_600
_FUNCTIONS = ("api", "activation", "mail")
#: A name of the length of a real one.
_NAME = "Ada Lovelace"


class Pace(NamedTuple):
    """The seconds until all users were made, and until all mails were sent."""

    users: float
    mails: float


def variables(ses: MailServer) -> dict[str, str]:
    """Return the variables with which functions send mails to *ses*, at a rate that nobody reaches."""
    return {"AWS_ENDPOINT_URL_SES": ses.url, "MAIL_PER_SECOND": "100000"}


def run(stack: Stack, ses: MailServer, leads: int, *, smoke: bool) -> None:
    """Measure activations of *leads* leads, and print three tables. The stack has the `variables` of *ses*."""
    with MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True) as mongodb:
        bench = _Bench(stack, mongodb, ses)
        CONSOLE.log("an activation of a few leads, which starts the functions")
        few = min(leads, CHUNK)
        bench.activate(few)
        before = bench.memory()
        CONSOLE.log(f"an activation of {leads} leads")
        session_id, pace = bench.activate(leads)
        after = bench.memory()
        bare = bench.bare(session_id)
        refused, accepted = bench.answers(leads, 1 if smoke else _ROUNDS)
    _answers(leads, refused, accepted)
    rows = [
        [what, str(leads), f"{leads / ours:.0f}", f"{leads / theirs:.0f}", f"{theirs / ours:.3f}"]
        for what, ours, theirs in zip(("users", "mails"), pace, bare, strict=True)
    ]
    show("leads of one activation", ("what", "leads", "per second", "bare per second", "ratio"), rows)
    rows = [
        [name, f"{before[name]:.0f}", f"{after[name]:.0f}", f"{after[name] / before[name]:.2f}"] for name in _FUNCTIONS
    ]
    show(f"the most memory of a function: {leads} leads", ("function", f"MB of {few} leads", "MB", "ratio"), rows)


def _answers(leads: int, refused: Sequence[float], accepted: Sequence[float]) -> None:
    base, p50 = percentile(refused, 50), percentile(accepted, 50)
    beyond = p50 - base
    row = [str(leads), f"{base:.0f}", f"{p50:.0f}", f"{p50 / base:.2f}", f"{beyond:.0f}", str(_HELD_TO_MS)]
    columns = ("leads", "refused p50 ms", "accepted p50 ms", "ratio", "beyond ms", "held to", "kept")
    show("POST /activation", columns, [[*row, "yes" if beyond <= _HELD_TO_MS else "no"]])


class _Bench:
    """An officer who begins activations, and the stores past Holdfast."""

    def __init__(self, stack: Stack, mongodb: MongoClient[dict[str, Any]], ses: MailServer) -> None:
        self._stack, self._database, self._ses = stack, mongodb[DATABASE], ses
        self._admin = Client(stack.url).signed_in("admin", stack.admin_password or "")

    def activate(self, leads: int) -> tuple[str, Pace]:
        """Activate new leads; return the id of the activation, and its pace.

        Raises:
            RuntimeError: a lead has no user, or no mail.
        """
        began = time.monotonic()
        ask = partial(self._admin.post, "/activation", raw=_body(leads))
        session_id = json_of(patiently(ask), 202)["sessionId"]
        users = self._seconds(session_id, began, {"activated": leads})
        found = Pace(users, self._seconds(session_id, began, {"completed": True}))
        if self._database.progress.count_documents({"_id": session_id, "emailsSent": leads}) != 1:
            raise RuntimeError(f"not all mails were sent: {self._database.progress.find_one({'_id': session_id})}")
        return session_id, found

    def _seconds(self, session_id: str, began: float, wanted: dict[str, Any]) -> float:
        ask = partial(self._database.progress.find_one, {"_id": session_id, **wanted})
        eventually(ask, _DEADLINE_SECONDS, every_seconds=0.1)
        return time.monotonic() - began

    def answers(self, leads: int, rounds: int) -> tuple[list[float], list[float]]:
        """Return the milliseconds of answers to lists that are refused, and of answers to lists that are accepted."""
        CONSOLE.log(f"{rounds} lists of {leads} leads, refused and accepted")
        refused, accepted = list[float](), list[float]()
        for _ in range(rounds):
            # The id is a word of a route. Every lead was read and checked by then.
            refused.append(self._answer(_body(leads, sessionId="progress"), 422)[0])
            ms, session_id = self._answer(_body(leads), 202)
            accepted.append(ms)
            json_of(patiently(partial(self._admin.post, f"/activation/{session_id}/cancel")))
            self._seconds(session_id, time.monotonic(), {"completed": True})
        return refused, accepted

    def _answer(self, body: bytes, status: int) -> tuple[float, str]:
        began = time.perf_counter()
        answer = self._admin.post("/activation", raw=body)
        ms = (time.perf_counter() - began) * 1000
        if answer.status_code != status:
            raise RuntimeError(f"{answer.status_code} in place of {status}: {answer.text[:200]}")
        return ms, answer.json().get("sessionId", "")

    def memory(self) -> dict[str, float]:
        """Return the most memory that a running worker of each function has used, in megabytes."""
        found = {}
        for name in _FUNCTIONS:
            pids = self._stack.workers(f"holdfast-{self._stack.stage}-{name}")
            found[name] = max(_peak_mb(pid) for pid in pids)
        return found

    def bare(self, session_id: str) -> Pace:
        """Write the users and leads of an activation once more after their removal, and send the mails once more."""
        CONSOLE.log("the same users, leads and mails, past Holdfast")
        leads = list(self._database.leads.find({"session": session_id}))
        table = Table(self._client("dynamodb"), f"holdfast-{self._stack.stage}-users")
        keys = [key(lead["username"]) for lead in leads]
        users = [item for part in _parts(keys) for item in table.batch_get(part)]
        mails = [mail for mail in self._ses.taken if mail.to in {lead["email"] for lead in leads}]
        if not len(users) == len(mails) == len(leads):
            raise RuntimeError(f"{len(users)} users and {len(mails)} mails of {len(leads)} leads")
        for part in _parts(keys):
            table.batch_write([], [{"pk": each} for each in part])
        self._database.leads.delete_many({"session": session_id})

        def write(number: int) -> None:
            table.batch_write(_parts(users)[number])
            self._database.leads.insert_many(_parts(leads)[number])

        began = time.monotonic()
        _spread(write, range(len(_parts(leads))), ACTIVATION.concurrency)
        made = time.monotonic()
        _spread(partial(_send, self._client("ses", endpoint_url=self._ses.url)), mails, MAIL.concurrency)
        return Pace(made - began, time.monotonic() - made)

    def _client(self, service: str, **options: str) -> Any:
        keys = self._stack.environment
        given = {"endpoint_url": self._stack.endpoint_url, **options}
        return boto3.client(
            service,
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=ACTIVATION.concurrency),
            **given,
        )


def _send(client: Any, mail: Taken) -> None:
    client.send_email(
        Source="welcome@example.org",
        Destination={"ToAddresses": [mail.to]},
        Message={
            "Subject": {"Data": mail.subject},
            "Body": {"Text": {"Data": mail.text}, "Html": {"Data": mail.html}},
        },
    )


def _spread(act: Callable[[Any], None], parts: Any, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(act, parts))


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def _body(leads: int, **fields: str) -> bytes:
    """Return a request to activate *leads* new addresses."""
    mark = secrets.token_hex(6)
    new = [{"email": f"lead-{mark}-{number:05}@example.org", "name": _NAME} for number in range(leads)]
    return json.dumps({"leads": new, **fields}).encode()


def _peak_mb(pid: int) -> float:
    """Return the most memory that the process has ever used."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
