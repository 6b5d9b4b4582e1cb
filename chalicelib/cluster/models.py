"""Shapes of health, readiness and queue metrics."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.core.models import Model


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

    dead: Annotated[int, Field(description="messages in the dead-letter queue; approximate, from SQS")]


class QueueStats(Work):
    """Metrics of every queue, and the sums of all queues."""

    queues: dict[str, QueueFigures]
