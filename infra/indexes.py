"""MongoDB's indexes, made at deployment: a function never waits for one on its first request."""

from pymongo import MongoClient

from chalicelib import settings, wiring


def ensure(uri: str) -> None:
    """Create every index that is missing. Safe to repeat."""
    client: MongoClient[dict[str, object]] = MongoClient(uri, serverSelectionTimeoutMS=10_000)
    with client:
        database = client[settings.MongoSettings().database]
        for collection, wanted in wiring.indexes().items():
            database[collection].create_indexes(wanted)
