"""Declares the progress slice."""

from chalicelib.core.slice import Indexes, Slice
from chalicelib.progress import worker
from chalicelib.progress.api import routes
from chalicelib.progress.queues import PROGRESS
from chalicelib.progress.settings import ProgressSettings
from chalicelib.progress.topic import TOPICS


def _indexes() -> Indexes:
    from chalicelib.progress import store

    return {"progress": store.INDEXES}


SLICE = Slice(
    name="progress",
    routes=routes,
    queues=(PROGRESS,),
    topics=TOPICS,
    settings=(ProgressSettings,),
    indexes=_indexes,
    sweep=worker.sweep,
)
