"""Declares the users slice."""

from chalicelib.core.slice import Slice
from chalicelib.users import revocation
from chalicelib.users.api import routes

SLICE = Slice(
    name="users",
    routes=routes,
    sweep=revocation.sweep,
    next_due=revocation.next_due,
)
