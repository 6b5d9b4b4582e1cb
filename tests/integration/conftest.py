"""The deployed stack, shared with the fault tests of the same process."""

from tests.support.records import followed
from tests.support.stack import admin, database, person, stack, unswept

__all__ = ["admin", "database", "followed", "person", "stack", "unswept"]
