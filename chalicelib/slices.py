"""The only list of slices. The import of this module assembles the application.

Each slice declares its parts in its own ``slice.py``; code that needs all routes, queues, indexes or sweeps reads the
combined lists here. The platform imports no slice, so this module hands the platform the queues, kinds,
subscriptions, and the actions and topics of WebSockets, and hands users the revoke functions for a changed account's
sessions, connections and devices.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.activation.slice import SLICE as ACTIVATION
from chalicelib.applications.slice import SLICE as APPLICATIONS
from chalicelib.approvals.slice import SLICE as APPROVALS
from chalicelib.cluster.slice import SLICE as CLUSTER
from chalicelib.console.slice import SLICE as CONSOLE
from chalicelib.core.queueing import queues
from chalicelib.core.queueing import sweep as sweeping
from chalicelib.core.queueing.sweep import Sweep
from chalicelib.core.records import wiring as records
from chalicelib.core.records.queues import REPAIR
from chalicelib.core.slice import Slice, Upgrade
from chalicelib.core.web import frames
from chalicelib.devices.slice import SLICE as DEVICES
from chalicelib.ledger.slice import SLICE as LEDGER
from chalicelib.messages.slice import SLICE as MESSAGES
from chalicelib.progress.slice import SLICE as PROGRESS
from chalicelib.sessions import endings
from chalicelib.sessions.slice import SLICE as SESSIONS
from chalicelib.sockets.slice import SLICE as SOCKETS
from chalicelib.users import revocation
from chalicelib.users.slice import SLICE as USERS
from chalicelib.webhooks.slice import SLICE as WEBHOOKS

if TYPE_CHECKING:
    from pymongo import IndexModel

SLICES: tuple[Slice, ...] = (
    CLUSTER,
    USERS,
    SESSIONS,
    SOCKETS,
    APPROVALS,
    DEVICES,
    APPLICATIONS,
    LEDGER,
    WEBHOOKS,
    MESSAGES,
    PROGRESS,
    ACTIVATION,
    CONSOLE,
)

ROUTES = tuple(slice_.routes for slice_ in SLICES if slice_.routes)
#: Every queue: those of the slices and of the platform.
QUEUES = (*(queue for slice_ in SLICES for queue in slice_.queues), REPAIR)

queues.declare(QUEUES, {name: load for slice_ in SLICES for name, load in slice_.loads.items()})
records.declare(
    (kind for slice_ in SLICES for kind in slice_.kinds),
    (subscription for slice_ in SLICES for subscription in slice_.subscriptions),
)
frames.declare(
    (action for slice_ in SLICES for action in slice_.actions),
    (topic for slice_ in SLICES for topic in slice_.topics),
    (slice_.pinged for slice_ in SLICES if slice_.pinged),
)
endings.declare(slice_.ended for slice_ in SLICES if slice_.ended)
revocation.declare(slice_.revoke for slice_ in SLICES if slice_.revoke)


def indexes() -> Mapping[str, Sequence["IndexModel"]]:
    """Return every MongoDB index by collection: those of the platform and of the slices."""
    from chalicelib.core.coordination import places  # noqa: PLC0415 # only a deployment needs the module of indexes

    return {
        "places": places.INDEXES,
        **{collection: wanted for slice_ in SLICES for collection, wanted in slice_.indexes().items()},
    }


def upgrades() -> Mapping[str, Upgrade]:
    """Return every upgrade of stored documents by collection."""
    return {collection: upgrade for slice_ in SLICES for collection, upgrade in slice_.upgrades().items()}


def sweeps() -> tuple[Sweep, ...]:
    """Return the sweeps of all slices; each runs every minute."""
    return tuple(Sweep(slice_.name, slice_.sweep, slice_.next_due) for slice_ in SLICES if slice_.sweep)


def sweep(event: Any) -> None:
    """Run every slice's sweep once. Never raises: unfinished work is still stored for the sweep of the next minute."""
    sweeping.run(event, sweeps())


def next_due() -> Mapping[str, datetime | None]:
    """Return for each slice the earliest moment of work due and not done, or None."""
    return sweeping.next_due(sweeps())
