"""Declares the console slice."""

from chalicelib.console.api import routes
from chalicelib.console.settings import ReceiverSettings
from chalicelib.core.slice import Slice

SLICE = Slice(name="console", routes=routes, settings=(ReceiverSettings,))
