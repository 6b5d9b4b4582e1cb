"""What health and readiness look like."""

from typing import Literal

from chalicelib.shapes import Model


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
