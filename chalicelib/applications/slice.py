"""Declares the applications slice."""

from chalicelib.applications.api import routes
from chalicelib.applications.search import KIND
from chalicelib.core.slice import Indexes, Slice


def _indexes() -> Indexes:
    from chalicelib.applications import store
    from chalicelib.core.records.view import collection_of

    return {collection_of(KIND.name): store.INDEXES}


SLICE = Slice(
    name="applications",
    routes=routes,
    kinds=(KIND,),
    indexes=_indexes,
)
