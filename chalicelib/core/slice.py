"""What a slice brings to the house, in one declaration of its own: its ``slice.py``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.core.queueing.queues import Queue
from chalicelib.core.records.events import Subscription
from chalicelib.core.records.models import Kind
from chalicelib.core.runtime.settings import Section
from chalicelib.core.web.routes import Routes

if TYPE_CHECKING:
    from pymongo import IndexModel

#: MongoDB's indexes by the collection they are of.
Indexes = Mapping[str, Sequence["IndexModel"]]
#: Ends what a slice keeps for the user of that name, save what was opened under the credentials version (``epoch``)
#: that is given and still valid. Without one, the user is gone, and nothing may be left for the next of that name. Safe
#: to repeat.
Revoke = Callable[[str, str | None], None]


def _no_indexes() -> Indexes:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One feature. Its rights stand beside this, in its folder's ``policy.yaml``."""

    #: The folder's name.
    name: str
    #: Its HTTP routes.
    routes: Routes | None = None
    #: The queues that its worker works on; each needs a function of the same name in `app.py`.
    queues: tuple[Queue, ...] = ()
    #: The kinds of record that it keeps.
    kinds: tuple[Kind, ...] = ()
    #: The queues that are told of records.
    subscriptions: tuple[Subscription, ...] = ()
    #: Its classes of options.
    settings: tuple[type[Section], ...] = ()
    #: Returns its MongoDB indexes. A function, as only a deployment needs their module.
    indexes: Callable[[], Indexes] = field(default=_no_indexes)
    #: Runs every minute, as `core.queueing.sweep.Sweep.run` says: finishes what a process that died left.
    sweep: Callable[[], int] | None = None
    #: Ends what it keeps for a user whose credentials changed, or who is gone.
    revoke: Revoke | None = None
    #: Returns the earliest moment at which something is due and not done, or None.
    next_due: Callable[[], datetime | None] | None = None
