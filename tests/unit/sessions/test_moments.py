"""When sessions end, and in which order lists show them: by MongoDB's clock alone."""

from typing import Any

from pymongo.database import Database

from chalicelib.sessions.store import SessionStore
from tests.unit.sessions.test_store import a_session, age

Mongo = Database[dict[str, Any]]


def test_a_session_used_soon_after_opening_lives_an_hour_more(sessions: SessionStore, mongodb: Mongo) -> None:
    # Given a use that is too soon after the opening to be written
    opening = a_session(sessions)
    age(mongodb, opening, seconds=30)
    assert sessions.find(opening.token) is not None
    # When the session was unused since then for almost an hour
    age(mongodb, opening, minutes=59, seconds=50)
    # Then
    assert sessions.find(opening.token) is not None
