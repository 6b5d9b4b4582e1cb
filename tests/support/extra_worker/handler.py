"""The handler of an extra function: each job leaves one effect, and may have its worker killed."""

import json
import os
import signal
import time
from typing import Any, Literal

from chalice.app import SQSEvent

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.queueing.attempts import Poison
from chalicelib.core.queueing.consumer import run_batch
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.runtime import logs
from chalicelib.core.stores import clients
from chalicelib.core.stores.dynamodb import ConditionFailed

QUEUE = Queue(**json.loads(os.environ["SCRATCH"]))

_finish, _finish_new, _dead_letter, _write = Claims.finish, Claims.finish_new, Sender.dead_letter, logs.write
#: The store round trips of the current batch.
_trips: list[int] = []
#: The current job, and the jobs of this invocation.
_now: "list[Job]" = []
_jobs: "list[Job]" = []


class Job(Message):
    """A job to do once."""

    job_id: str
    #: The moment at which the first worker is killed.
    dies: Literal["", "before", "after", "counted", "dead_lettered"] = ""
    seconds: float = 0
    #: The job fails until the cure item is stored.
    poison: bool = False

    @property
    def work_id(self) -> str:
        return self.job_id


def work(event: Any, context: Any) -> dict[str, Any]:
    """Work on a batch."""
    _jobs.clear()
    return run_batch(SQSEvent(event, context), QUEUE, Job, _handle)


def timed(event: Any, context: Any) -> dict[str, Any]:
    """Work on a batch of instant jobs, and record the time of its end."""
    _trips.clear()
    answer = run_batch(SQSEvent(event, context), QUEUE, Job, lambda _job, _claim: None)
    _say_when(event)
    return answer


def bare(event: Any, context: Any) -> dict[str, Any]:
    """Do nothing, and record the time of the end."""
    _say_when(event)
    return {"batchItemFailures": []}


def _say_when(event: Any) -> None:
    sent = [int(record["attributes"]["SentTimestamp"]) for record in event["Records"]]
    line = json.dumps({"doneMs": time.time() * 1000, "sentMs": sent, "trips": sum(_trips)}) + "\n"
    file = os.open(os.environ["SCRATCH_BATCHES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # One write, so lines of several functions do not mix.
        os.write(file, line.encode())
    finally:
        os.close(file)


def _write_and_count(record: logs.LogRecord) -> None:
    _trips.append(record.round_trips)
    _write(record)


def _handle(job: Job, claim: Claim) -> None:
    _now[:] = [job]
    _jobs.append(job)
    _die("before")
    time.sleep(job.seconds)
    if job.poison and not clients.table("coordination").get(f"cure#{QUEUE.name}"):
        raise Poison(f"{job.job_id} is poison")
    _leave_effect(job, claim)
    _die("after")


def _leave_effect(job: Job, claim: Claim) -> None:
    """Make the resource of the work, unless an earlier attempt made it."""
    item = {"pk": f"effect#{QUEUE.name}#{claim.resource_id}", "job": job.job_id}
    try:
        clients.table("coordination").put(item, when="attribute_not_exists(pk)")
    except ConditionFailed:
        assert claim.taken_over, "only a second attempt may find its work done"


def _finish_and_die(*given: Any, **more: Any) -> None:
    _finish(*given, **more)
    _die("counted")


def _finish_new_and_die(*given: Any, **more: Any) -> None:
    _finish_new(*given, **more)
    for job in _jobs:
        _now[:] = [job]
        _die("counted")


def _dead_letter_and_die(*given: Any) -> None:
    _dead_letter(*given)
    _die("dead_lettered")


def _die(here: str) -> None:
    """Kill the worker if the job demands a kill *here* and has not had its kill."""
    if not _now or _now[0].dies != here:
        return
    try:
        mark = {"pk": f"killed#{QUEUE.name}#{_now[0].job_id}"}
        clients.table("coordination").put(mark, when="attribute_not_exists(pk)")
    except ConditionFailed:
        return
    os.kill(os.getpid(), signal.SIGKILL)


logs.write = _write_and_count
Claims.finish = _finish_and_die  # type: ignore[method-assign]
Claims.finish_new = _finish_new_and_die  # type: ignore[method-assign]
Sender.dead_letter = _dead_letter_and_die  # type: ignore[method-assign, assignment]
