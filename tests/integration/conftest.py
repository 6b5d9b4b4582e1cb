"""The deployed stack, shared with the conformance tests of the same process."""

from tests.support.coordination import claims, dynamodb, locks, name, table
from tests.support.extra_worker import running, scratch
from tests.support.records import tracked
from tests.support.stack import admin, database, person, stack, unswept

__all__ = [
    "admin",
    "claims",
    "database",
    "dynamodb",
    "locks",
    "name",
    "person",
    "running",
    "scratch",
    "stack",
    "table",
    "tracked",
    "unswept",
]
