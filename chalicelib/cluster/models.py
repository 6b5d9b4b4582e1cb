"""What health, readiness and the figures of queues look like."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.core.models import Model


class Health(Model):
    """The process answers; says nothing of its stores."""

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
    """How much work waits, is being done, was done, was given up."""

    pending: Annotated[int, Field(description="messages that wait or are delayed; about right, as SQS says")]
    processing: Annotated[int, Field(description="messages that a function holds, or that wait to be tried again")]
    completed: Annotated[int, Field(description="works done; exact")]
    failed: Annotated[int, Field(description="works given up with a reason, ever; exact. One sent back may fail again")]


class QueueFigures(Work):
    """One queue."""

    dead: Annotated[int, Field(description="letters in its dead-letter queue; about right, as SQS says")]


class QueueStats(Work):
    """Every queue, and their sums."""

    queues: dict[str, QueueFigures]
