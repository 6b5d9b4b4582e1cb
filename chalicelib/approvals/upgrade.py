"""Brings requests that an earlier version stored up to date, at deployment: account ids, and how long they stay."""

from typing import Any

from pymongo.collection import Collection

from chalicelib.approvals import transitions
from chalicelib.approvals.transitions import Pipeline
from chalicelib.core.queueing import entries

#: Indexes of earlier versions, which no query uses any more.
_FORMER_INDEXES = ("people_1__id_-1", "status_1__id_-1", "pending-of-user")
#: Documents of earlier versions, and documents whose last entry was ended by a process of an earlier version.
_UNUPGRADED: dict[str, Any] = {
    "$or": [{"createdByAccount": None}, {"readableUntil": None}, {"purgeAt": entries.NEVER, "outbox": []}]
}
#: The update that fills in account ids, from the names.
_UPGRADE: Pipeline = [
    {
        "$set": {
            "accounts": {"$ifNull": ["$accounts", transitions.ids_of_names("$people")]},
            "createdByAccount": {"$ifNull": ["$createdByAccount", transitions.id_of_name("$createdBy")]},
            "escalatedAccounts": {"$ifNull": ["$escalatedAccounts", transitions.ids_of_names("$escalateTo.username")]},
            "answers": {
                "$map": {
                    "input": "$answers",
                    "in": {
                        "$mergeObjects": [
                            {
                                "account": transitions.id_of_name("$$this.username"),
                                "by": "$$this.username",
                                "byAccount": transitions.id_of_name("$$this.username"),
                            },
                            "$$this",
                        ]
                    },
                }
            },
        }
    },
    *entries.kept(),
]


def upgrade(collection: Collection[dict[str, Any]]) -> int:
    """Bring documents of earlier versions up to date; return how many. Safe to repeat, and beside calls.

    Account ids are filled in, and documents with outbox entries stay. Each document changes atomically. Indexes that
    no query uses any more are dropped.
    """
    filled = collection.update_many(_UNUPGRADED, _UPGRADE).modified_count
    for name in set(_FORMER_INDEXES) & collection.index_information().keys():
        collection.drop_index(name)
    return filled
