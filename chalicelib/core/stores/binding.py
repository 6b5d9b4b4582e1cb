"""Binds a MongoDB database to one deployment: chooses the database, and marks the database with the deployment's id.

The id of a deployment is an item of the coordination table, so the id is kept and restored with the tables. The mark is
one document of the database. A database without the mark of this deployment may hold the lists of another stage, which
a reconciliation pass would delete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ReturnDocument

from chalicelib.core.runtime import ids
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.stores.dynamodb import ConditionFailed

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

    from chalicelib.core.stores.dynamodb import Table

#: The collection of the mark.
COLLECTION = "deployment"
_MARK = "mark"
_KEY = "deployment"
#: MongoDB's own databases. A connection string names `admin` to say where its user is defined.
_SYSTEM = frozenset({"admin", "config", "local"})


class Deployment(NamedTuple):
    """The id and the stage of a deployment."""

    id: str
    stage: str

    def __str__(self) -> str:
        return f"deployment {self.id} (stage {self.stage})"


class DatabaseRefused(Exception):
    """The database is not marked as this deployment's. The text names database and deployments, and what to do."""


def choose(client: MongoClient[dict[str, Any]], stage: str, named: str | None) -> Database[dict[str, Any]]:
    """Return the database *named*, else the database in the path of the connection string, else ``holdfast-<stage>``.

    No call is made. A path that names one of MongoDB's own databases, such as ``admin``, counts as no path.
    """
    if named:
        return client[named]
    own = f"holdfast-{stage}"
    database = client.get_default_database(own)
    return client[own] if database.name in _SYSTEM else database


def ensure_deployment(coordination: Table, stage: str) -> Deployment:
    """Return the deployment that owns the *coordination* table. The first call makes the id, atomically."""
    new = {"pk": _KEY, "deploymentId": ids.new_id()}
    try:
        coordination.put(new, when="attribute_not_exists(pk)")
    except ConditionFailed as failed:
        new = failed.item or coordination.get(_KEY) or new
    return Deployment(new["deploymentId"], stage)


def remember(coordination: Table, database: str) -> None:
    """Note in the deployment's item that the database named *database* carries the mark."""
    name = {"#database": "database"}
    coordination.change(_KEY, "SET #database = :name", when="", values={":name": database}, names=name)


def remembered(coordination: Table) -> str | None:
    """Return the name of the database that `remember` noted last, or None."""
    return (coordination.get(_KEY) or {}).get("database")


def mark_of(database: Database[dict[str, Any]]) -> Deployment | None:
    """Return the deployment that has marked *database*, or None."""
    found = database[COLLECTION].find_one({"_id": _MARK})
    return Deployment(found["deploymentId"], found["stage"]) if found else None


def bind(database: Database[dict[str, Any]], ours: Deployment) -> None:
    """Mark *database* as belonging to *ours*, unless the database is marked. Atomic, safe to repeat.

    Raises:
        DatabaseRefused: another deployment has marked the database; nothing was changed.
    """
    found: Any = database[COLLECTION].find_one_and_update(
        {"_id": _MARK},
        {"$setOnInsert": {"deploymentId": ours.id, "stage": ours.stage}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    _demand_same(database.name, Deployment(found["deploymentId"], found["stage"]), ours)


def rebind(database: Database[dict[str, Any]], ours: Deployment) -> None:
    """Mark *database* as belonging to *ours*, whichever deployment has marked the database before."""
    new = {"deploymentId": ours.id, "stage": ours.stage}
    database[COLLECTION].update_one({"_id": _MARK}, {"$set": new}, upsert=True)


def check(database: Database[dict[str, Any]], coordination: Table, stage: str) -> None:
    """Return if *database* carries the mark of the deployment that owns the *coordination* table. Writes nothing.

    Raises:
        DatabaseRefused: the database carries another mark or none, or the deployment has no id yet.
        Unavailable: a store is down.
    """
    item = coordination.get(_KEY)
    with reaching_mongodb():
        mark = mark_of(database)
    if mark is None or item is None:
        raise DatabaseRefused(
            f"The MongoDB database {database.name} carries no mark of stage {stage}, so the lists in the database may "
            "belong to another stage. Nothing was changed. If the database is the right one, deploy the stage again "
            "(scripts/deploy with MONGODB_URI set, or scripts/up), which marks the database. Else name the right "
            "database in the path of MONGODB_URI, or by MONGODB_DATABASE."
        )
    _demand_same(database.name, mark, Deployment(item["deploymentId"], stage))


def _demand_same(database: str, mark: Deployment, ours: Deployment) -> None:
    if mark.id != ours.id:
        raise DatabaseRefused(
            f"The MongoDB database {database} belongs to {mark}, and this is {ours}. Nothing was changed. Name another "
            f"database for stage {ours.stage}, in the path of MONGODB_URI (mongodbUri of the secret) or by "
            f"MONGODB_DATABASE. If the tables of {mark} are gone for good, delete the document of the collection "
            f"{COLLECTION} in {database}, and deploy stage {ours.stage} once more."
        )
