"""Accounts, and the passage of time, for tests of progress."""

from typing import Any

from pymongo.database import Database

from chalicelib.core.runtime.accounts import Account

Mongo = Database[dict[str, Any]]
ANN, BOB = Account("ann", "account-of-ann"), Account("bob", "account-of-bob")

_TIMES = ("createdAt", "updatedAt", "purgeAt", "pace.at")


def age(mongodb: Mongo, session_id: str, seconds: float) -> None:
    """Let *seconds* pass for the progress *session_id*: all its times move into the past."""
    earlier = {name: {"$subtract": [f"${name}", round(seconds * 1000)]} for name in _TIMES}
    mongodb.progress.update_one({"_id": session_id}, [{"$set": earlier}])
