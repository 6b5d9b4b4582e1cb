"""Stores connections in one MongoDB collection, keyed by the gateway's connection id.

Every rule about time is a condition on the server's clock; the TTL index only removes what no query returns.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection, ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.web.roles import Caller, Role
from chalicelib.sockets.models import ANNOUNCED_MS, IDLE_MS, LONGEST_MS, Held
from chalicelib.sockets.settings import SocketSettings

#: A connection that pushes may reach and whose planned reconnect is not announced yet.
_ANNOUNCED = {"announceAt": {"$exists": True}}

INDEXES = [
    IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0),
    IndexModel([("account", ASCENDING)]),
    IndexModel([("username", ASCENDING)]),
    IndexModel([("topics", ASCENDING)], name="by-topic"),
    IndexModel(
        [("announceAt", ASCENDING)], name="to-announce", partialFilterExpression={"announceAt": {"$exists": True}}
    ),
    IndexModel([("activeAt", ASCENDING)], name="by-activity"),
    IndexModel([("expiresAt", ASCENDING)], name="by-expiry"),
]

#: The gateway answers "gone" for a connection that it is still opening.
_OPENING_MS = 1_000
#: Expired connections stay so long for the sweep, which closes them.
_KEPT_MS = 10 * 60_000
#: A connection is pinged after so long without traffic; the sweep runs every minute.
_PING_AFTER_MS = IDLE_MS - 2 * 60_000

_LIVE = {"$expr": {"$gt": ["$expiresAt", "$$NOW"]}}
_ACTIVE = {"lastSeenAt": "$$NOW", "activeAt": "$$NOW"}


class ConnectionStore:
    """Connections by id, by account and by user."""

    def __init__(
        self, collection: Collection[dict[str, Any]], settings: SocketSettings, instance: str = ids.INSTANCE_ID
    ) -> None:
        self._connections, self._settings, self._instance = collection, settings, instance

    def add(self, connection_id: str, caller: Caller) -> bool:
        """Store a new connection of *caller*, unless too many connections are open. Return whether it is stored.

        Never more than the limits, whoever connects at the same time: the connection is stored first, then counted, and
        removed if it is one too many. Of connections that come together at a limit, more may be refused than must.
        """
        new = {
            "account": {"$literal": caller.account_id},
            "username": {"$literal": caller.username},
            "roles": sorted(caller.roles),
            "sessionId": caller.session_id,
            "keyId": caller.key_id,
            "epoch": caller.epoch,
            "instance": self._instance,
            "since": "$$NOW",
            "opened": False,
            "topics": [],
            **_ACTIVE,
            "expiresAt": {"$add": ["$$NOW", LONGEST_MS]},
            "purgeAt": {"$add": ["$$NOW", LONGEST_MS + _KEPT_MS]},
        }
        with reaching_mongodb():
            self._connections.update_one({"_id": connection_id}, [{"$set": new}], upsert=True)
            if self._fits({"account": caller.account_id}, self._settings.per_account) and self._fits(
                {}, self._settings.in_all
            ):
                return True
            self._connections.delete_one({"_id": connection_id})
        return False

    def seen(self, connection_id: str) -> Held | None:
        """Note that a frame came, and return the connection; None if it is unknown or past its time. Atomic."""
        with reaching_mongodb():
            found = self._connections.find_one_and_update(
                {"_id": connection_id, **_LIVE}, [{"$set": _ACTIVE}], return_document=ReturnDocument.AFTER
            )
        return _held(found) if found else None

    def open(self, connection_id: str, topics: Iterable[str]) -> None:
        """Let pushes reach the connection, and add *topics* to its topics. Safe to repeat."""
        opened = {
            "opened": True,
            "topics": {"$setUnion": ["$topics", {"$literal": sorted(topics)}]},
            # A reconnect that was announced is not announced again.
            "announceAt": {"$cond": ["$opened", "$announceAt", {"$add": ["$since", LONGEST_MS - ANNOUNCED_MS]}]},
        }
        with reaching_mongodb():
            self._connections.update_one({"_id": connection_id}, [{"$set": opened}])

    def opened_of(self, account_id: str) -> list[Held]:
        """Return the connections of the account that pushes may reach."""
        return self._find({"account": account_id, "opened": True})

    def following(self, topic: str) -> list[Held]:
        """Return the connections that follow *topic*."""
        return self._find({"topics": topic, "opened": True})

    def followers(self, topic: str) -> int:
        """Return how many connections follow *topic*."""
        with reaching_mongodb():
            return self._connections.count_documents({"topics": topic, "opened": True, **_LIVE})

    def followed(self, prefix: str) -> list[str]:
        """Return the topics that begin with *prefix* and that connections follow."""
        begin = {"$gte": prefix, "$lt": f"{prefix}\U0010ffff"}
        with reaching_mongodb():
            found = self._connections.distinct("topics", {"topics": {"$elemMatch": begin}, "opened": True, **_LIVE})
        return [topic for topic in found if topic.startswith(prefix)]

    def of_user(self, username: str) -> list[Held]:
        """Return the connections of the user *username*."""
        return self._find({"username": username})

    def all(self) -> list[Held]:
        """Return all connections: at most as many as the limit in all."""
        return self._find({})

    def pushed(self, connection_ids: Iterable[str]) -> None:
        """Note that the connections took an event, so that they need no ping for a while."""
        with reaching_mongodb():
            self._connections.update_many({"_id": {"$in": list(connection_ids)}}, [{"$set": {"activeAt": "$$NOW"}}])

    def forget(self, connection_id: str) -> None:
        """Forget a connection of which the gateway says that it is gone, unless it is in its first second. Atomic."""
        older = {"$lt": ["$since", {"$subtract": ["$$NOW", _OPENING_MS]}]}
        with reaching_mongodb():
            self._connections.delete_one({"_id": connection_id, "$expr": older})

    def remove(self, connection_ids: Iterable[str]) -> None:
        """Forget connections that were closed. Safe to repeat."""
        with reaching_mongodb():
            self._connections.delete_many({"_id": {"$in": list(connection_ids)}})

    def to_announce(self) -> Held | None:
        """Return a connection whose planned reconnect is due to be announced, and note the announcement. Atomic."""
        return self._claim({**_ANNOUNCED, "$expr": {"$lte": ["$announceAt", "$$NOW"]}}, {"$unset": "announceAt"})

    def to_ping(self) -> Held | None:
        """Return a connection that pushes may reach and that is due for a ping, and note the ping. Atomic."""
        idle = {"$lte": ["$activeAt", {"$subtract": ["$$NOW", _PING_AFTER_MS]}]}
        return self._claim({"opened": True, "$expr": idle}, {"$set": {"activeAt": "$$NOW"}})

    def ended(self) -> list[str]:
        """Return the ids of connections past their time, and of those that were idle and never opened."""
        idle = {"$lte": ["$activeAt", {"$subtract": ["$$NOW", IDLE_MS]}]}
        past = {"$lte": ["$expiresAt", "$$NOW"]}
        over = {"$or": [past, {"$and": [idle, {"$not": "$opened"}]}]}
        with reaching_mongodb():
            return [str(found["_id"]) for found in self._connections.find({"$expr": over}, {"_id": 1})]

    def next_due(self) -> datetime | None:
        """Return when the next announcement is due, or None."""
        with reaching_mongodb():
            first = self._connections.find_one(_ANNOUNCED, {"announceAt": 1}, sort=[("announceAt", ASCENDING)])
        return first["announceAt"] if first else None

    def _fits(self, query: dict[str, Any], most: int) -> bool:
        return self._connections.count_documents({**query, **_LIVE}, limit=most + 1) <= most

    def _find(self, query: dict[str, Any]) -> list[Held]:
        with reaching_mongodb():
            return [_held(found) for found in self._connections.find({**query, **_LIVE})]

    def _claim(self, query: dict[str, Any], change: dict[str, Any]) -> Held | None:
        with reaching_mongodb():
            found = self._connections.find_one_and_update(query, [change])
        return _held(found) if found else None


def _held(found: dict[str, Any]) -> Held:
    caller = Caller(
        username=found["username"],
        roles=frozenset(Role(role) for role in found["roles"]),
        session_id=found["sessionId"],
        account_id=found["account"],
        key_id=found["keyId"],
        epoch=found["epoch"],
    )
    return Held(found["_id"], caller, found["opened"])
