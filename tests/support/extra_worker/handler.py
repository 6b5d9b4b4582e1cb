"""What a scratch function runs: each chore leaves one effect, and may have its worker killed at a chosen moment."""

import json
import os
import signal
import time
from typing import Any, Literal

from chalice.app import SQSEvent

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.queueing.consumer import Poison, run_batch
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import ConditionFailed

QUEUE = Queue(**json.loads(os.environ["SCRATCH"]))

_finish, _bury = Claims.finish, Sender.bury
#: The chore that is being worked on.
_now: "list[Chore]" = []


class Chore(Message):
    """Something to be done once."""

    chore_id: str
    #: Where the worker of its first attempt is killed.
    dies: Literal["", "before", "after", "counted", "buried"] = ""
    seconds: float = 0
    #: It can never succeed, until somebody cures it.
    poison: bool = False

    @property
    def work_id(self) -> str:
        return self.chore_id


def work(event: Any, context: Any) -> dict[str, Any]:
    """Work on a batch."""
    return run_batch(SQSEvent(event, context), QUEUE, Chore, _handle)


def timed(event: Any, context: Any) -> dict[str, Any]:
    """Work on a batch of chores that take no time, and say when it was done."""
    answer = run_batch(SQSEvent(event, context), QUEUE, Chore, lambda _chore, _claim: None)
    _say_when(event)
    return answer


def bare(event: Any, context: Any) -> dict[str, Any]:
    """Do nothing, and say when it was done."""
    _say_when(event)
    return {"batchItemFailures": []}


def _say_when(event: Any) -> None:
    sent = [int(record["attributes"]["SentTimestamp"]) for record in event["Records"]]
    print(json.dumps({"kind": "batch", "doneMs": time.time() * 1000, "sentMs": sent}))  # noqa: T201 # its log


def _handle(chore: Chore, claim: Claim) -> None:
    _now[:] = [chore]
    _die("before")
    time.sleep(chore.seconds)
    if chore.poison and not clients.table("coordination").get(f"cure#{QUEUE.name}"):
        raise Poison(f"{chore.chore_id} is poison")
    _leave_effect(chore, claim)
    _die("after")


def _leave_effect(chore: Chore, claim: Claim) -> None:
    """Make the resource of this work, unless an attempt before this one has."""
    item = {"pk": f"effect#{QUEUE.name}#{claim.resource_id}", "chore": chore.chore_id}
    try:
        clients.table("coordination").put(item, when="attribute_not_exists(pk)")
    except ConditionFailed:
        assert claim.taken_over, "only a second attempt may find its work done"


def _finish_and_die(*given: Any, **more: Any) -> None:
    _finish(*given, **more)
    _die("counted")


def _bury_and_die(*given: Any) -> None:
    _bury(*given)
    _die("buried")


def _die(here: str) -> None:
    """Kill this worker, if the chore says here, and has not had it killed before."""
    if not _now or _now[0].dies != here:
        return
    try:
        mark = {"pk": f"killed#{QUEUE.name}#{_now[0].chore_id}"}
        clients.table("coordination").put(mark, when="attribute_not_exists(pk)")
    except ConditionFailed:
        return
    os.kill(os.getpid(), signal.SIGKILL)


Claims.finish = _finish_and_die  # type: ignore[method-assign]
Sender.bury = _bury_and_die  # type: ignore[method-assign, assignment]
