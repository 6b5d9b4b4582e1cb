"""No module is over 300 lines, and no function over 40."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import SHIPPED_OR_RUN, functions, place, python_files, tree, verdict

LONGEST_MODULE, LONGEST_FUNCTION = 300, 40
EVERY_FILE = [*SHIPPED_OR_RUN, *python_files("tests")]

#: Longer test modules today. The list may only shrink.
LONG_MODULES = {
    "tests/integration/test_bad_input.py",
    "tests/unit/approvals/test_store.py",
    "tests/unit/core/coordination/test_claims.py",
    "tests/unit/core/coordination/test_locks.py",
    "tests/unit/core/records/test_project.py",
    "tests/unit/core/records/test_reconcile.py",
    "tests/unit/core/records/test_store.py",
    "tests/unit/core/records/test_view.py",
    "tests/unit/core/web/test_application.py",
    "tests/unit/core/web/test_idempotency.py",
    "tests/unit/devices/test_store.py",
    "tests/unit/infra/test_migration.py",
    "tests/unit/infra/test_wsgi.py",
}
#: Longer functions today. The list may only shrink.
LONG_FUNCTIONS: set[tuple[str, str]] = set()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def length(function: ast.AST) -> int:
    """Return the lines of *function* from its signature to its end, decorators left out."""
    return (getattr(function, "end_lineno", 0) or 0) - getattr(function, "lineno", 0) + 1


def test_no_module_is_over_300_lines() -> None:
    long = {place(path): lines(path) for path in EVERY_FILE if lines(path) > LONGEST_MODULE}
    verdict(
        [
            f"{name} has {count} lines, {LONGEST_MODULE} at most: split it"
            for name, count in long.items()
            if name not in LONG_MODULES
        ]
        + [
            f"{name} is short now: take it out of LONG_MODULES in tests/architecture/test_sizes.py"
            for name in LONG_MODULES - long.keys()
        ]
    )


def test_no_function_is_over_40_lines() -> None:
    long = dict(long_functions())
    verdict(
        [
            f"{file}: {name} has {count} lines, {LONGEST_FUNCTION} at most: split it"
            for (file, name), count in long.items()
            if (file, name) not in LONG_FUNCTIONS
        ]
        + [
            f"{file}: {name} is short now: take it out of LONG_FUNCTIONS in tests/architecture/test_sizes.py"
            for file, name in LONG_FUNCTIONS - long.keys()
        ]
    )


def long_functions() -> Iterator[tuple[tuple[str, str], int]]:
    for path in EVERY_FILE:
        for function in functions(tree(path)):
            if length(function) > LONGEST_FUNCTION:
                yield (place(path), function.name), length(function)
