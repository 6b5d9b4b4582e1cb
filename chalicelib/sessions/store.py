"""Stores sessions and tickets in two MongoDB collections, keyed by the keyed hash of the token or ticket.

The key of the hash is the deployment's own, so a token of another deployment is not found, even in the same database.

Every rule about time is a condition on the server's clock. No rule depends on the TTL monitor, or on the clock of the
calling process.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.stores import newest
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.web.roles import Role
from chalicelib.sessions.models import Issued, NewTicket, Session
from chalicelib.sessions.settings import SessionSettings

_NEWEST_FIRST = newest.newest_first("sessionId")
INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("sessionId", ASCENDING)], unique=True),
    # Lists are in the order of the server's clock; an id has the time of the process that made the id.
    IndexModel(_NEWEST_FIRST, name="newest"),
    IndexModel([("username", ASCENDING), *_NEWEST_FIRST], name="newest-of-user"),
]

TICKET_INDEXES = [IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0)]

_IS_LIVE = {"$gt": ["$expiresAt", "$$NOW"]}
_LIVE = {"$expr": _IS_LIVE}
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
#: Short lives, as a ticket is part of an address, and addresses end up in logs and histories.
_FIRST_USE_WITHIN_MS, _REUSABLE_FOR_MS = 30_000, _HOUR_MS


class Opening(NamedTuple):
    """A new session and the only copy of the token."""

    session: Session
    token: str


class SessionStore:
    """Sessions by token, by id and by user. *key* returns the key of the tokens' hashes, when the first is needed."""

    def __init__(
        self, collection: Collection[dict[str, Any]], settings: SessionSettings, key: Callable[[], bytes]
    ) -> None:
        self._sessions, self._settings, self._key = collection, settings, key

    def open(self, username: str, roles: Iterable[Role], epoch: str, account_id: str = "") -> Opening:
        """Open a session under *epoch*, the user's credentials version. Without *account_id*: see `Caller`."""
        token = secrets.token_urlsafe(32)
        new = {
            "sessionId": ids.new_id(),
            "username": {"$literal": username},
            "accountId": account_id,
            "roles": sorted(roles),
            "epoch": epoch,
            "createdAt": "$$NOW",
            "endsAt": {"$add": ["$$NOW", self._settings.absolute_hours * _HOUR_MS]},
        }
        with reaching_mongodb():
            found: Any = self._sessions.find_one_and_update(
                {"_id": _digest(self._key(), token)},
                [{"$set": new}, *self._touched()],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return Opening(_session(found), token)

    def find(self, token: str) -> Session | None:
        """Return the live session of *token*, or None. Counts as a use of the session.

        One read, and one write if the session was last written more than ``touch_every_seconds`` ago.
        """
        # A query by id alone is the fastest path through the server.
        return self._use({"_id": _digest(self._key(), token)})

    def use(self, session_id: str) -> Session | None:
        """Return the live session with id *session_id*, or None, as `find` does. Counts as a use of the session."""
        return self._use({"sessionId": session_id})

    def live(self, session_ids: Iterable[str]) -> frozenset[str]:
        """Return those of *session_ids* whose sessions are live, in one read."""
        with reaching_mongodb():
            found = self._sessions.find({"sessionId": {"$in": list(session_ids)}, **_LIVE}, {"sessionId": 1})
            return frozenset(str(each["sessionId"]) for each in found)

    def get(self, session_id: str) -> Session | None:
        """Return the live session with id *session_id*, or None."""
        with reaching_mongodb():
            found = self._sessions.find_one({"sessionId": session_id, **_LIVE}, _SHOWN)
        return _session(found) if found else None

    def end(self, session_id: str) -> bool:
        """End one session, at once and everywhere. Return whether the session was live."""
        with reaching_mongodb():
            return self._sessions.delete_one({"sessionId": session_id, **_LIVE}).deleted_count == 1

    def end_all(self, username: str, keep_epoch: str | None = None) -> int:
        """End the sessions of *username*, except sessions opened under *keep_epoch*. Return how many."""
        with reaching_mongodb():
            return self._sessions.delete_many({"username": username, "epoch": {"$ne": keep_epoch}}).deleted_count

    def page(self, username: str | None, limit: int, after: str | None) -> list[Session]:
        """Return up to *limit* live sessions after the position *after*, newest first by the server's clock."""
        query: dict[str, Any] = dict(_LIVE)
        if username:
            query["username"] = username
        if after:
            query |= newest.older_than(after, "sessionId")
        with reaching_mongodb():
            return [_session(found) for found in self._sessions.find(query, sort=_NEWEST_FIRST, limit=limit)]

    def _use(self, query: dict[str, str]) -> Session | None:
        with reaching_mongodb():
            # The server's clock decides `alive`.
            found = self._sessions.find_one(query, {**_SHOWN, "alive": _IS_LIVE, "touchable": self._touchable()})
            if found is None or not found["alive"]:
                return None
            if found["touchable"]:
                self._sessions.update_one({"_id": found["_id"], "$expr": self._touchable()}, self._touched())
        return _session(found)

    def _touched(self) -> list[dict[str, Any]]:
        """Return the update that restarts the idle limit now, never beyond the absolute limit.

        A use within ``touch_every_seconds`` of this update writes nothing, so the limit is longer by that time: no
        session ends before it was unused for ``idle_minutes``.
        """
        idle_ms = self._settings.idle_minutes * _MINUTE_MS + self._settings.touch_every_seconds * 1000
        idle = {"$add": ["$$NOW", idle_ms]}
        return [
            {"$set": {"lastSeenAt": "$$NOW", "expiresAt": {"$min": [idle, "$endsAt"]}}},
            {"$set": {"purgeAt": "$expiresAt"}},
        ]

    def _touchable(self) -> dict[str, Any]:
        latest = {"$subtract": ["$$NOW", self._settings.touch_every_seconds * 1000]}
        return {"$lt": ["$lastSeenAt", latest]}


class TicketStore:
    """Tickets, each for one session. *key* returns the key of the tickets' hashes, when the first is needed."""

    def __init__(self, collection: Collection[dict[str, Any]], key: Callable[[], bytes]) -> None:
        self._tickets, self._key = collection, key

    def issue(self, session_id: str, new: NewTicket) -> Issued:
        """Issue a new ticket for the session. Only the ticket's hash is stored."""
        ticket = secrets.token_urlsafe(32)
        lives_ms = _REUSABLE_FOR_MS if new.reusable else _FIRST_USE_WITHIN_MS
        fields = {
            "sessionId": session_id,
            "path": {"$literal": new.path},
            "reusable": new.reusable,
            "firstUseBy": {"$add": ["$$NOW", _FIRST_USE_WITHIN_MS]},
            "purgeAt": {"$add": ["$$NOW", lives_ms]},
        }
        with reaching_mongodb():
            found: Any = self._tickets.find_one_and_update(
                {"_id": _digest(self._key(), ticket)},
                [{"$set": fields}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return Issued(ticket, found["purgeAt"])

    def redeem(self, ticket: str, path: str) -> str | None:
        """Use *ticket* for *path*, and return the session id, or None if the ticket is not valid.

        Atomic: of concurrent first uses, one succeeds.
        """
        in_time = {
            "$cond": [
                {"$eq": [{"$type": "$usedAt"}, "missing"]},
                {"$gt": ["$firstUseBy", "$$NOW"]},
                {"$and": ["$reusable", {"$gt": ["$purgeAt", "$$NOW"]}]},
            ]
        }
        with reaching_mongodb():
            found = self._tickets.find_one_and_update(
                {"_id": _digest(self._key(), ticket), "path": {"$in": [None, path]}, "$expr": in_time},
                [{"$set": {"usedAt": {"$ifNull": ["$usedAt", "$$NOW"]}}}],
            )
        return str(found["sessionId"]) if found else None


_FIELDS = ("sessionId", "username", "accountId", "epoch", "roles", "createdAt", "lastSeenAt", "expiresAt")
_SHOWN = dict.fromkeys(_FIELDS, 1)


def _digest(key: bytes, token: str) -> str:
    # A token has 256 random bits and cannot be guessed, so a fast hash is enough.
    return hmac.digest(key, token.encode(), "sha256").hex()


def _session(found: dict[str, Any]) -> Session:
    return Session.model_validate(found)
