"""HTTP routes: health, readiness and OpenAPI description for anyone; queues and dead letters for administrators."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from chalicelib.cluster import queue_stats
from chalicelib.cluster.errors import QueueNotFound
from chalicelib.cluster.models import (
    Chosen,
    DeadLetter,
    Health,
    Purge,
    Purged,
    QueueName,
    QueueStats,
    Readiness,
    Redriven,
)
from chalicelib.cluster.readiness import reach
from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.queueing import dead_letters, queues
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.redrive import Redrive
from chalicelib.core.runtime import deadline, ids, logs, settings
from chalicelib.core.web import ADMIN_ONLY, PUBLIC, Answer, Call, Page, PageQuery, Routes, paging

_STARTED = monotonic()

routes = Routes(__name__)

_DEAD = "/api/admin/queues/{queue}/dead"
_PARAMS = {"queue": QueueName}
#: The longest one call works, and the time that one more step may take.
_BUDGET_MS, _STEP_MS = 15_000, 3_000


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


@routes.add(
    "GET",
    _DEAD,
    roles=ADMIN_ONLY,
    params=_PARAMS,
    query=PageQuery,
    answers={200: Page[DeadLetter]},
    raises=(QueueNotFound,),
)
def list_dead_letters(call: Call[None, PageQuery], queue: str) -> str:
    """List the dead letters of a queue with their reasons, the oldest first. They are kept for 14 days."""
    name = _queue(queue).name

    def fetch(limit: int, after: str | None) -> Iterator[DeadLetter]:
        return map(_shown, queueing.dead_letters().read(name, limit, after))

    return paging.cursors().render(f"dead-letters/{name}", call.query, fetch, lambda letter: letter.id)


@routes.add(
    "POST",
    f"{_DEAD}/redrive",
    roles=ADMIN_ONLY,
    params=_PARAMS,
    body=Chosen,
    body_optional=True,
    answers={200: Redriven},
    raises=(QueueNotFound,),
)
def redrive(call: Call[Chosen, None], queue: str) -> Redriven:
    """Send dead letters back to their queue, to be worked on once more: those of `ids`, or all that are there now.

    The work is done once, however often a dead letter is sent back.
    """
    redriving, wanted = _redrive(queue), call.body.ids
    chosen = None if wanted is None else redriving.letters.named(queue, wanted)
    with deadline.at_most(_BUDGET_MS):
        handled = redriving.send_all_back(_time_left) if chosen is None else redriving.send_back(chosen, _time_left)
    logs.line().add(queue=queue, redriven=handled.number)
    missing = sorted(set(wanted or ()) - {letter.id for letter in chosen or ()})
    return Redriven(redriven=handled.number, missing=missing, more=handled.more)


@routes.add(
    "DELETE",
    _DEAD,
    roles=ADMIN_ONLY,
    params=_PARAMS,
    query=Purge,
    answers={200: Purged},
    raises=(QueueNotFound,),
)
def purge(call: Call[None, Purge], queue: str) -> Purged:
    """Delete the dead letters of a queue that are there now, for good."""
    redriving = _redrive(queue)
    if call.query.confirm != queue:
        raise Invalid([FieldError("confirm", f"must be the queue's name, {queue}")])
    with deadline.at_most(_BUDGET_MS):
        handled = redriving.purge(_time_left)
    logs.line().add(queue=queue, purged=handled.number)
    return Purged(purged=handled.number, more=handled.more)


@routes.add("GET", "/openapi.json", roles=PUBLIC, answers={200: dict})
def describe(call: Call[None, None]) -> str:
    """Describe the API in OpenAPI 3.1, generated from the models that validate requests."""
    return _description()


@cache
def _description() -> str:
    from chalicelib.core.web import openapi  # noqa: PLC0415 # slow, and only this route needs it

    app: Any = routes.current_app
    examples = json.loads(Path(__file__).with_name("examples.json").read_text())
    return openapi.describe(app.endpoints, settings.load(settings.HoldfastSettings).version, examples)


def _shown(letter: dead_letters.DeadLetter) -> DeadLetter:
    return DeadLetter(
        id=letter.id,
        reason=letter.reason,
        attempts=letter.attempts,
        caused_by=letter.caused_by,
        body=letter.body,
        dead_at=letter.dead_at,
    )


def _time_left(_: int) -> bool:
    return deadline.allows(_STEP_MS)


def _redrive(name: str) -> Redrive:
    return Redrive(queueing.dead_letters(), queueing.sender(), _queue(name))


def _queue(name: str) -> Queue:
    try:
        return queues.named(name)
    except KeyError as error:
        raise QueueNotFound from error
