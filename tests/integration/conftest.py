"""The deployed stack, shared with the conformance tests of the same process."""

from tests.support.coordination import claims, dynamodb, locks, name, table
from tests.support.extra_worker import extra, running
from tests.support.records import tracked
from tests.support.stack import admin, database, person, stack, unswept

__all__ = [
    "admin",
    "claims",
    "database",
    "dynamodb",
    "extra",
    "locks",
    "name",
    "person",
    "running",
    "stack",
    "table",
    "tracked",
    "unswept",
]
