"""The deployed stack, shared with the conformance tests of the same process."""

from tests.conformance.conftest import figure, mongod
from tests.support.records import tracked
from tests.support.stack import admin, database, person, stack

__all__ = ["admin", "database", "figure", "mongod", "person", "stack", "tracked"]
