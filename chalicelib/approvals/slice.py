"""Declares the approvals slice."""

from collections.abc import Mapping

from chalicelib.approvals import worker
from chalicelib.approvals.api import routes
from chalicelib.approvals.events import TOPICS
from chalicelib.approvals.queues import APPROVAL, CALLBACK, PUSH
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.core.slice import Indexes, Slice, Upgrade


def _indexes() -> Indexes:
    from chalicelib.approvals import store
    from chalicelib.core.queueing import slots

    return {"approvals": store.INDEXES, "lanes": slots.INDEXES}


def _upgrades() -> Mapping[str, Upgrade]:
    from chalicelib.approvals import upgrade

    return {"approvals": upgrade.upgrade}


SLICE = Slice(
    name="approvals",
    routes=routes,
    queues=(APPROVAL, PUSH, CALLBACK),
    loads={CALLBACK.name: worker.load},
    topics=TOPICS,
    settings=(ApprovalSettings,),
    indexes=_indexes,
    upgrades=_upgrades,
    sweep=worker.sweep,
    next_due=worker.next_due,
)
