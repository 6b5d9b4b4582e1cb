"""A single module makes clients of stores and services."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import MODULES, place, tree, verdict

MAKER = "chalicelib.core.stores.clients"
DRIVERS = frozenset({"boto3", "botocore", "gridfs", "pymongo"})
#: Functions and classes of the drivers that make a client.
MAKERS = frozenset({"client", "create_client", "MongoClient", "resource", "Session", "get_session"})


def test_only_clients_makes_clients() -> None:
    verdict(
        f"{place(path)} {fault}: take the client from {place(MODULES[MAKER])}"
        for module, path in MODULES.items()
        if module != MAKER
        for fault in faults(path)
    )


def faults(path: Path) -> Iterator[str]:
    drivers = {name.partition(".")[0] for name in imported(path)} & DRIVERS
    if "boto3" in drivers:
        yield "imports boto3"
    for node in ast.walk(tree(path)):
        if drivers and isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKERS:
            yield f"calls {ast.unparse(node.func)} in line {node.lineno}"


def imported(path: Path) -> Iterator[str]:
    """Yield the name of every module that *path* imports, inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
