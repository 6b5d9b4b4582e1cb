"""The records, view, history and projector of this deployment, each made once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.core.records.events import Subscription
    from chalicelib.core.records.history import History
    from chalicelib.core.records.models import Kind
    from chalicelib.core.records.project import Projector
    from chalicelib.core.records.store import Records
    from chalicelib.core.records.view import View

_kinds: dict[str, Kind] = {}
_subscriptions: list[Subscription] = []


class NotAssembled(Exception):
    """No slice has declared a kind of record: import chalicelib.slices, which puts the application together."""


def declare(kinds: Iterable[Kind], subscriptions: Iterable[Subscription]) -> None:
    """Register kinds and subscriptions of the slices; `chalicelib.slices` calls this function once, at import."""
    _kinds.update({kind.name: kind for kind in kinds})
    _subscriptions.extend(subscriptions)


def kinds() -> Mapping[str, Kind]:
    """Return every kind of record, by its name.

    Raises:
        NotAssembled: this process has not imported the slices. Without kinds, no record could be shown.
    """
    if not _kinds:
        raise NotAssembled(NotAssembled.__doc__)
    return _kinds


def subscriptions() -> tuple[Subscription, ...]:
    """Return every subscription to versions of records."""
    return tuple(_subscriptions)


@once
def view() -> View:
    """Return the read model: copies of records, for lists."""
    from chalicelib.core.records.view import View

    return View(clients.mongodb, kinds(), settings.load(settings.RecordSettings))


@once
def store() -> Records:
    """Return the records. Each write is applied to the view at once."""
    from chalicelib.core.records.store import Records

    return Records(clients.table("records"), lambda changed: view().apply_eagerly(changed))


@once
def history() -> History:
    """Return every version of every record."""
    from chalicelib.core.records.history import History

    return History(clients.sorted_table("history"), settings.load(settings.RecordSettings).kept_versions)


@once
def projector() -> Projector:
    """Return the projector, which applies the stream to the view, the events and the history."""
    from chalicelib.core.records.project import Projector

    return Projector(view(), history(), subscriptions(), queueing.sender())
