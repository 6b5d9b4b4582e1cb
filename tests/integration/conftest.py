"""The deployed stack, shared with the fault tests of the same process."""

from tests.followed import followed
from tests.stack import admin, database, person, stack, unswept

__all__ = ["admin", "database", "followed", "person", "stack", "unswept"]
