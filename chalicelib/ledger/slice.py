"""Declares the ledger slice."""

from chalicelib.core.slice import Slice
from chalicelib.ledger.api import routes

SLICE = Slice(
    name="ledger",
    routes=routes,
)
