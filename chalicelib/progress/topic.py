"""The topic ``progress:<sessionId>`` of WebSockets and of streams of many topics."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chalicelib.core.models import SessionId
from chalicelib.core.web.frames import Connection, Topic
from chalicelib.progress import wiring
from chalicelib.progress.errors import ProgressNotFound
from chalicelib.progress.models import Snapshot

PREFIX = "progress:"
_ids: TypeAdapter[str] = TypeAdapter(SessionId)


def _authorise(_connection: Connection, name: str) -> None:
    """Return if *name* names a job; `_snapshot`, which always follows, checks whose it is."""
    try:
        _ids.validate_python(name.removeprefix(PREFIX))
    except ValidationError:
        raise ProgressNotFound from None


def _snapshot(connection: Connection, name: str) -> Mapping[str, Any]:
    """Return the newest snapshot. One read, so that the snapshot is the owner's whose right is checked."""
    return _read(connection, name).model_dump(mode="json")


def _read(connection: Connection, name: str) -> Snapshot:
    found = wiring.store().get(name.removeprefix(PREFIX))
    connection.caller.require_self_or_admin(found.owner.account_id)
    return found


TOPICS = (Topic(PREFIX, _authorise, _snapshot),)
