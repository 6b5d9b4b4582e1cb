"""HTTP routes: health, readiness and OpenAPI description for anyone; queue metrics for administrators."""

from functools import cache
from time import monotonic
from typing import Any

from chalicelib.cluster import queue_stats
from chalicelib.cluster.models import Health, QueueStats, Readiness
from chalicelib.cluster.readiness import reach
from chalicelib.core.runtime import ids, settings
from chalicelib.core.web import ADMIN_ONLY, PUBLIC, Answer, Call, Routes, openapi

_STARTED = monotonic()

routes = Routes(__name__)


@routes.add("GET", "/health", roles=PUBLIC, answers={200: Health})
def health(call: Call[None, None]) -> Health:
    """Show that the process answers. Asks no store."""
    return Health(
        version=settings.load(settings.HoldfastSettings).version,
        instance_id=ids.INSTANCE_ID,
        uptime_seconds=round(monotonic() - _STARTED, 1),
    )


@routes.add("GET", "/ready", roles=PUBLIC, answers={200: Readiness, 503: Readiness})
def ready(call: Call[None, None]) -> Answer:
    """Ask every store once. Answers 503 if a store does not answer."""
    stores = reach()
    if all(store.ok for store in stores.values()):
        return Answer(200, Readiness(status="ready", stores=stores))
    return Answer(503, Readiness(status="degraded", stores=stores), headers={"Retry-After": "2"})


@routes.add("GET", "/api/admin/queue-stats", roles=ADMIN_ONLY, answers={200: QueueStats})
def show_queues(call: Call[None, None]) -> QueueStats:
    """Show for each queue how much work is pending, processing, completed, failed and dead-lettered."""
    return queue_stats.collect()


@routes.add("GET", "/openapi.json", roles=PUBLIC, answers={200: dict})
def describe(call: Call[None, None]) -> str:
    """Describe the API in OpenAPI 3.1, generated from the models that validate requests."""
    return _description()


@cache
def _description() -> str:
    app: Any = routes.current_app
    return openapi.describe(app.endpoints, settings.load(settings.HoldfastSettings).version)
