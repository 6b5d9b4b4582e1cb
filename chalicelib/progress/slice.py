"""Declares the progress slice."""

from chalicelib.core.slice import Indexes, Slice


def _indexes() -> Indexes:
    from chalicelib.progress import store

    return {"progress": store.INDEXES}


SLICE = Slice(name="progress", indexes=_indexes)
