"""Shapes of the console's routes (no I/O)."""

from typing import Annotated

from pydantic import StringConstraints

from chalicelib.core.models import Form, Model

#: The name of a file, as in the page: ``app-0123456789ab.js``.
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{1,20}-[0-9a-f]{12}\.(js|css|svg)$"),
    Form("must be the name of a file of the console, as its page gives it"),
]


class Config(Model):
    """What the page cannot know of its deployment. *console* changes with every change of the console's files.

    *receiver* is the address of a laptop's receiver of callbacks, *socket_url* the address of WebSockets.
    """

    stage: str
    version: str
    console: str
    receiver: str | None
    socket_url: str | None
