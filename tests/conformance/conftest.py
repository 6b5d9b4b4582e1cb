"""Fixtures: the deployed stack, shared with the integration tests of the process; figures; a mongod to kill."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.support.client import Client, at_once
from tests.support.coordination import claims, dynamodb, locks, name, table
from tests.support.extra_worker import extra, running
from tests.support.records import tracked
from tests.support.stack import admin, database, person, stack, unswept
from tests.support.waiting import eventually

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

_FIGURES = "figures"

Figure = Callable[[str, object], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Record a figure, to be printed after all tests."""
    return lambda name, value: record_property(_FIGURES, f"{name}: {value}")


@pytest.fixture
def mongod(stack: Stack, admin: Client) -> Iterator[Mongod]:
    """The database's process, to be killed or paused; after the test, the database serves again."""
    yield stack.mongod
    if stack.mongod.child.alive:
        with suppress(ProcessLookupError):
            os.kill(stack.mongod.pid, signal.SIGCONT)
    else:
        stack.mongod.restart()
    ask = partial(admin.get, "/api/sessions/current")
    # Each process finds out by itself.
    eventually(lambda: all(answer.status_code == 200 for answer in at_once([ask] * 16)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the recorded figures."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    figures = [text for report in reports for name, text in report.user_properties if name == _FIGURES]
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.write_line(text)
