"""Declares the approvals slice."""

from chalicelib.approvals import worker
from chalicelib.approvals.api import routes
from chalicelib.approvals.queues import APPROVAL, CALLBACK, PUSH
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.core.slice import Indexes, Slice


def _indexes() -> Indexes:
    from chalicelib.approvals import store
    from chalicelib.core.queueing import slots

    return {"approvals": store.INDEXES, "lanes": slots.INDEXES}


SLICE = Slice(
    name="approvals",
    routes=routes,
    queues=(APPROVAL, PUSH, CALLBACK),
    loads={CALLBACK.name: worker.load},
    settings=(ApprovalSettings,),
    indexes=_indexes,
    sweep=worker.sweep,
    next_due=worker.next_due,
)
