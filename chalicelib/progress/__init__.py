"""Progress: how far long jobs have come, followed by polls, streams of events and WebSockets.

models.py    snapshots of jobs, and their shapes over HTTP (no I/O)
errors.py    errors shown to callers
changes.py   writes as update pipelines of MongoDB (no I/O)
store.py     one document per job in one MongoDB collection
wait.py      waits for a change
follow.py    streams of events of one job
many.py      streams of events of many topics
leases.py    leases of pushers, one per job
push.py      pushes snapshots to connections of WebSockets
topic.py     the topic of WebSockets and of streams of many topics
queues.py    the queue that wakes pushers
settings.py  options
wiring.py    makes the store, the leases and the waiter, once per process
slice.py     the declaration of the slice
api.py       HTTP routes
worker.py    works off the queue, and runs the sweep

A slice whose job runs here calls `begin`, `move`, `get`, and after each commit `announce`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chalicelib.core.runtime.accounts import Account
from chalicelib.progress import wiring
from chalicelib.progress.changes import UNCHANGED_MS
from chalicelib.progress.errors import ProgressCompleted, ProgressExists, ProgressNotFound
from chalicelib.progress.models import Snapshot

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

__all__ = [
    "ProgressCompleted",
    "ProgressExists",
    "ProgressNotFound",
    "Snapshot",
    "announce",
    "begin",
    "get",
    "move",
]


def begin(
    session_id: str,
    owner: Account,
    type: str,  # noqa: A002 # the field's name in the API
    total: int,
    *,
    operation: str = "",
    kept_ms: int = UNCHANGED_MS,
    session: "ClientSession | None" = None,
) -> Snapshot:
    """Begin the progress of a job that runs here; every counter is 0. No caller may write it by PUT.

    The progress is kept until its completion, for *kept_ms* at least and for a day after its last change at least.

    Atomic: of concurrent calls for an id, one begins. A repeat with the same *operation*, not empty, returns the
    snapshot as it is now. With *session*, a part of the caller's transaction.

    Raises:
        ProgressExists: the id is in use, by any account.
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.store().begin(session_id, owner, type, total, operation=operation, kept_ms=kept_ms, session=session)


def move(
    session_id: str,
    increments: Mapping[str, int],
    *,
    msg: str | None = None,
    completed: bool = False,
    session: "ClientSession | None" = None,
) -> Snapshot:
    """Add *increments* to counters (names of `models.COUNTERS`), and return the new snapshot, one revision higher.

    One atomic update, by the server's clock. Not safe to repeat: make it in the transaction that counts the work. The
    job completes when every part is settled and no mail is pending; *completed* ends it at once, as for a cancelled
    job. Without *msg*, the text stays. With *session*, a part of the caller's transaction.

    Raises:
        ProgressNotFound: there is no such progress, or it has expired.
        ProgressCompleted: the job is completed, and its snapshot final.
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.store().move(session_id, increments, msg=msg, completed=completed, session=session)


def announce(session_id: str) -> None:
    """Wake a pusher of the job if connections of WebSockets follow it. Call it after the commit of a change.

    Never raises: a sweep wakes pushers of changes that nobody announced. All other followers look for themselves.
    """
    from chalicelib.progress import push  # noqa: PLC0415 # imports the queues

    push.announce(session_id)


def get(session_id: str) -> Snapshot:
    """Return the newest snapshot.

    Raises:
        ProgressNotFound: there is no such progress, or it has expired.
        Unavailable: MongoDB cannot be reached.
    """
    return wiring.store().get(session_id)
