"""Shapes of health, readiness, queue metrics and dead letters."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from chalicelib.core.models import Form, Model
from chalicelib.core.web import Query


class Health(Model):
    """The process answers. The stores are not checked."""

    status: Literal["ok"] = "ok"
    version: str
    instance_id: str
    uptime_seconds: float


class Reach(Model):
    """Whether one store answered, and how quickly."""

    ok: bool
    latency_ms: float


class Readiness(Model):
    """Whether every store answered."""

    status: Literal["ready", "degraded"]
    stores: dict[str, Reach]


class Work(Model):
    """Amounts of work: pending, processing, completed, failed."""

    pending: Annotated[int, Field(description="messages waiting or delayed; approximate, from SQS")]
    processing: Annotated[int, Field(description="messages held by a function or awaiting a retry; approximate")]
    completed: Annotated[int, Field(description="items of work done; exact")]
    failed: Annotated[
        int, Field(description="items ever dead-lettered with a reason; exact. A redriven item may fail again")
    ]


class QueueFigures(Work):
    """Metrics of one queue."""

    dead: Annotated[
        int,
        Field(description="dead letters, at most 1,000 of them counted, and those that SQS still holds; approximate"),
    ]


class QueueStats(Work):
    """Metrics of every queue, and the sums of all queues."""

    queues: dict[str, QueueFigures]


QueueName = Annotated[
    str,
    Field(max_length=80, pattern=r"^[a-z0-9-]+$", description="name of a queue, as queue-stats lists it"),
    Form("must be the name of a queue: up to 80 small letters, digits and '-'"),
]
LetterId = Annotated[
    str,
    Field(max_length=100, pattern=r"^[0-9a-z-]+$"),
    Form("must be the id of a dead letter, as the list gives it"),
]


class DeadLetter(Model):
    """A message that was given up."""

    id: str
    reason: str
    attempts: Annotated[
        int | None, Field(description="attempts until the message was given up; null if SQS itself gave it up")
    ]
    caused_by: Annotated[str, Field(description="id of the request that caused the message; empty if unknown")]
    body: Annotated[str, Field(description="the message as it was sent, usually JSON")]
    dead_at: AwareDatetime


class Chosen(Model):
    """The dead letters to send back; without ids, all of the queue."""

    ids: Annotated[list[LetterId] | None, Field(min_length=1, max_length=100)] = None


class Redriven(Model):
    """The result of a redrive."""

    redriven: Annotated[int, Field(description="dead letters sent back to their queue")]
    missing: Annotated[list[str], Field(description="ids without a dead letter")]
    more: Annotated[bool, Field(description="time was too short for all; repeat the call for the rest")]


class Purge(Query):
    """The confirmation of a purge."""

    confirm: Annotated[str, Field(description="the name of the queue, once more")]


class Purged(Model):
    """The result of a purge."""

    purged: Annotated[int, Field(description="dead letters deleted")]
    more: Annotated[bool, Field(description="time was too short for all; repeat the call for the rest")]
