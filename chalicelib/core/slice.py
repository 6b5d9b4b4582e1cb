"""The declaration by which a slice registers with the platform; ``slice.py`` of each slice has a `Slice`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.core.queueing.queues import Load, Queue
from chalicelib.core.records.events import Subscription
from chalicelib.core.records.models import Kind
from chalicelib.core.runtime.settings import Section
from chalicelib.core.web.frames import Action, Pinged, Topic
from chalicelib.core.web.routes import Routes

if TYPE_CHECKING:
    from pymongo import IndexModel
    from pymongo.collection import Collection

#: Brings the documents of a MongoDB collection up to date, and returns how many changed. Safe to repeat, and beside
#: calls of this version and the one before.
Upgrade = Callable[["Collection[dict[str, Any]]"], int]
#: MongoDB indexes by collection.
Indexes = Mapping[str, Sequence["IndexModel"]]
#: Called with a user name and a credentials version (``epoch``). Revokes the slice's grants to the user, such as
#: sessions; only grants opened under the given version, which is still valid, remain. Without a version the user was
#: deleted, and all grants must end, so that a later user of the same name inherits nothing. Safe to repeat.
Revoke = Callable[[str, str | None], None]
#: Closes what hangs on sessions that have ended, such as connections. Never raises; a sweep does the rest.
Ended = Callable[[str], None]


def _no_indexes() -> Indexes:
    return {}


def _no_upgrades() -> Mapping[str, Upgrade]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One feature. The file ``policy.yaml`` of the same folder declares the rights of the functions."""

    #: The name of the slice's folder.
    name: str
    #: HTTP routes.
    routes: Routes | None = None
    #: The queues of the slice's worker; each needs a function of the same name in `app.py`.
    queues: tuple[Queue, ...] = ()
    #: The loads of queues whose messages only wake a worker, by queue name.
    loads: Mapping[str, Callable[[], Load]] = field(default_factory=dict)
    #: The kinds of record of the slice.
    kinds: tuple[Kind, ...] = ()
    #: The queues that receive the events of records.
    subscriptions: tuple[Subscription, ...] = ()
    #: The frames that clients of WebSockets may send.
    actions: tuple[Action, ...] = ()
    #: The topics that connections of WebSockets may follow.
    topics: tuple[Topic, ...] = ()
    #: Called at each ping of a connection of WebSockets; returns events that follow the answer.
    pinged: Pinged | None = None
    #: Classes of options.
    settings: tuple[type[Section], ...] = ()
    #: Returns the MongoDB indexes of the slice. A function, because only a deployment needs the indexes' module.
    indexes: Callable[[], Indexes] = field(default=_no_indexes)
    #: Returns the upgrades of stored documents, by collection. A deployment runs each, after it made the indexes.
    upgrades: Callable[[], Mapping[str, Upgrade]] = field(default=_no_upgrades)
    #: Runs every minute, as `core.queueing.sweep.Sweep.run` says: finishes work that a dead process left.
    sweep: Callable[[], int] | None = None
    #: Revokes sessions and the like of a user whose credentials changed or who was deleted.
    revoke: Revoke | None = None
    #: Called with the name of a user of whom some sessions were ended, by sign-out or by an administrator.
    ended: Ended | None = None
    #: Returns when the earliest unfinished work is due, or None.
    next_due: Callable[[], datetime | None] | None = None
