"""Messages and accounts for tests."""

from typing import Any

from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.messages.models import Kept, NewMessage
from chalicelib.messages.store import MessageStore

ANN, BOB = Account("ann", "account-of-ann"), Account("bob", "account-of-bob")
#: Room for every message of a test.
ROOM = 10_000_000


def a_message(**fields: Any) -> NewMessage:
    """Return a message to bob."""
    return NewMessage.model_validate({"to": "bob", "chatId": "chat", "message": "Hello", **fields})


def send(store: MessageStore, sender: Account = ANN, receiver: Account = BOB, **fields: Any) -> Kept:
    """Store a new message, with a new id."""
    return store.put(ids.new_id(), sender, receiver, a_message(**fields))


def undelivered(store: MessageStore, owner: Account = BOB) -> list[str]:
    """Return the texts of the undelivered messages, in the receiver's order."""
    chosen = store.choose(owner.account_id, 0, ROOM)
    return [message.message for message in store.load([each.message_id for each in chosen])]


def age(mongodb: Database[dict[str, Any]], seconds: int = 10) -> None:
    """Let time pass for messages, joins and devices; by default for longer than a push is on its way."""
    joins = ("offeredAt", "since", "until", "deviceSince", "settleAt")
    ms = seconds * 1_000
    for collection, fields in (("message_joins", joins), ("messages", ("createdAt",))):
        # A missing time stays missing.
        earlier = {name: {"$subtract": [f"${name}", ms]} for name in fields}
        mongodb[collection].update_many({}, [{"$set": earlier}])
    since = {"$mergeObjects": ["$$this", {"since": {"$subtract": ["$$this.since", ms]}}]}
    devices = {"$map": {"input": {"$ifNull": ["$devices", []]}, "in": since}}
    mongodb.mailboxes.update_many({"seq": {"$gte": 0}}, [{"$set": {"devices": devices}}])
