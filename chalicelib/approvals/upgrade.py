"""Fills in the account ids of requests that an earlier version stored, at deployment."""

from typing import Any

from pymongo.collection import Collection

from chalicelib.approvals import transitions
from chalicelib.approvals.transitions import Pipeline

#: Indexes of earlier versions, which no query uses any more.
_FORMER_INDEXES = ("people_1__id_-1", "status_1__id_-1", "pending-of-user")
#: Documents of earlier versions, and the update that fills in their account ids, from the names.
_UNUPGRADED: dict[str, Any] = {"createdByAccount": None}
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
    }
]


def upgrade(collection: Collection[dict[str, Any]]) -> int:
    """Fill in the account ids of documents of earlier versions; return how many. Safe to repeat, and beside calls.

    Each document changes atomically. Indexes that no query uses any more are dropped.
    """
    filled = collection.update_many(_UNUPGRADED, _UPGRADE).modified_count
    for name in set(_FORMER_INDEXES) & collection.index_information().keys():
        collection.drop_index(name)
    return filled
