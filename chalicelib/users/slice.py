"""Declares the users slice."""

from chalicelib.core.slice import Slice
from chalicelib.users import revocation
from chalicelib.users.api import routes
from chalicelib.users.settings import PasswordLinkSettings

SLICE = Slice(
    name="users",
    routes=routes,
    settings=(PasswordLinkSettings,),
    sweep=revocation.sweep,
    next_due=revocation.next_due,
)
