"""Declares the applications slice."""

from collections.abc import Mapping

from chalicelib.applications.api import routes
from chalicelib.applications.search import KIND, SHAPE
from chalicelib.core.slice import Indexes, Slice, Upgrade


def _indexes() -> Indexes:
    from chalicelib.applications import store
    from chalicelib.core.records.view import collection_of

    return {collection_of(KIND.name): store.INDEXES}


def _upgrades() -> Mapping[str, Upgrade]:
    from chalicelib.core.records import reshape
    from chalicelib.core.records.view import collection_of

    return {collection_of(KIND.name): lambda copies: reshape.upgrade(copies, KIND.name, SHAPE)}


SLICE = Slice(
    name="applications",
    routes=routes,
    kinds=(KIND,),
    indexes=_indexes,
    upgrades=_upgrades,
)
