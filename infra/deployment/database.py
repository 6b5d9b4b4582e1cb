"""Prepares a deployment's MongoDB database: refuses another deployment's database, sets the mark, creates indexes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure

from chalicelib import slices
from chalicelib.core.stores import binding
from chalicelib.core.stores.binding import DatabaseRefused
from chalicelib.core.stores.dynamodb import Table
from infra.deployment import indexes, secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    Mongo = Database[dict[str, Any]]

#: The database of every stage in releases that ignored the path of the connection string.
FORMER = "holdfast"
_SELECTION_MS = 10_000


class Wanted(NamedTuple):
    """The database that a deployment asks for.

    *uri* reaches MongoDB from this machine; if empty, the URI in the stage's secret does, if present. *named* is the
    functions' ``MONGODB_DATABASE``. If *exclusive*, the server belongs to this deployment alone, so that the mark of a
    deployment whose tables were lost is replaced.
    """

    uri: str = ""
    named: str | None = None
    exclusive: bool = False


def prepare(client: Callable[[str], Any], stage: str, wanted: Wanted) -> None:
    """Mark the database of *stage* and create its indexes. Without any URI, do nothing. Safe to repeat.

    If the server of the secret's URI does not answer this machine, a database that was marked before is left as it is,
    with a line on standard error.

    Raises:
        DatabaseRefused: the database belongs to another deployment, or the stage's data is in another database, or the
            database of the secret's URI was never marked and does not answer. Nothing was changed in MongoDB.
        ConnectionFailure: the server of the given URI does not answer.
    """
    uri = wanted.uri or secret.mongodb_uri(client("secretsmanager"), stage)
    if not uri:
        return
    coordination = Table(client("dynamodb"), f"holdfast-{stage}-coordination")
    ours = binding.ensure_deployment(coordination, stage)
    try:
        mongo: MongoClient[dict[str, Any]] = MongoClient(uri, w="majority", serverSelectionTimeoutMS=_SELECTION_MS)
        with mongo:
            database = binding.choose(mongo, stage, wanted.named)
            _bind(database, ours, wanted)
            indexes.ensure(database)
            indexes.upgrade(database)
            binding.remember(coordination, database.name)
    except (ConfigurationError, ConnectionFailure):
        if wanted.uri:
            raise
        _go_on_unseen(coordination, stage)


def _bind(database: Mongo, ours: binding.Deployment, wanted: Wanted) -> None:
    if wanted.exclusive:
        binding.rebind(database, ours)
        return
    if not wanted.named and database.name != FORMER and binding.mark_of(database) is None:
        _refuse_to_leave(database, ours)
    binding.bind(database, ours)


def _refuse_to_leave(database: Mongo, ours: binding.Deployment) -> None:
    """Raise DatabaseRefused if the former database has Holdfast's collections that no other deployment has marked."""
    former = database.client[FORMER]
    try:
        present = former.list_collection_names(filter={"name": {"$in": sorted(slices.indexes())}})
        mark = binding.mark_of(former) if present else None
    except OperationFailure:
        # The user of the URI has no rights in the former database, so this deployment never wrote there.
        return
    if present and (mark is None or mark.id == ours.id):
        raise DatabaseRefused(
            f"Stage {ours.stage} would use the MongoDB database {database.name}, which carries no mark, but the "
            f"database {FORMER} has Holdfast's collections: earlier releases kept every stage there. To keep the data, "
            f"set MONGODB_DATABASE={FORMER}. To start with an empty database, set MONGODB_DATABASE={database.name} and "
            "fill the lists with scripts/reconcile. Set the variable for the stage in .chalice/config.json, or in the "
            "environment of every deployment. Nothing was changed."
        )


def _go_on_unseen(coordination: Table, stage: str) -> None:
    """Say that the database was not looked at.

    Raises:
        DatabaseRefused: no deployment of *stage* has marked a database yet.
    """
    known = binding.remembered(coordination)
    if known is None:
        raise DatabaseRefused(
            f"The MongoDB of the secret holdfast-{stage} does not answer this machine, and stage {stage} has marked no "
            "database yet. Deploy with MONGODB_URI set to an address that this machine can reach."
        ) from None
    print(
        f"The MongoDB of the secret holdfast-{stage} does not answer this machine: the mark and the indexes of the "
        f"database {known} were left as they are. Deploy with MONGODB_URI set to look at both.",
        file=sys.stderr,
    )
