"""`core/egress` alone opens connections to addresses; the clients of our own stores and of Firebase are exceptions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import MODULES, place, tree, verdict

EGRESS = "chalicelib.core.egress"
#: Modules that connect to addresses. The drivers of the stores are not listed: `test_clients.py` holds their clients in
#: one module, and their addresses come from the operator's settings.
NETWORK = frozenset(
    {
        "_socket",
        "_ssl",
        "aiohttp",
        "asyncio",
        "ftplib",
        "google.auth.transport",
        "http.client",
        "httpcore",
        "httpx",
        "imaplib",
        "multiprocessing.connection",
        "poplib",
        "requests",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "telnetlib",
        "urllib.request",
        "urllib3",
        "websocket",
        "websockets",
        "xmlrpc.client",
    }
)
#: Modules that connect without egress, with what they import. The list may only shrink: an entry without use fails.
EXCEPTIONS = {
    # The address of Firebase is an operator's setting (docs/decisions/fcm.md).
    "chalicelib.devices.fcm": {"urllib3"},
}


def test_only_egress_opens_connections() -> None:
    verdict(
        f"{place(path)} imports {name}: call egress.post, which vets the address and ends at a deadline"
        for module, path in MODULES.items()
        if not module.startswith(EGRESS)
        for name in network(path) - EXCEPTIONS.get(module, set())
    )


def test_every_exception_of_the_network_rule_is_in_use() -> None:
    verdict(
        f"{module} no longer imports {name}: remove the exception"
        for module, names in EXCEPTIONS.items()
        for name in names - network(MODULES[module])
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import socket", "socket"),
        ("from socket import create_connection as connect", "socket"),
        ("import http.client", "http.client"),
        ("from http import client", "http.client"),
        ("from http.client import HTTPSConnection", "http.client"),
        ("import urllib.request as call", "urllib.request"),
        ("from urllib import parse, request", "urllib.request"),
        ("def call():\n    import requests", "requests"),
        ("from urllib3.util import connection", "urllib3"),
        ("import urllib3.connection", "urllib3"),
        ("from google.auth.transport.requests import Request", "google.auth.transport"),
        ("from google.auth import transport", "google.auth.transport"),
        ("from importlib import import_module\nimport_module('httpx')", "httpx"),
        ("__import__('socket').create_connection(('10.0.0.1', 80))", "socket"),
        ("import urllib\nurllib.request.urlopen('http://10.0.0.1')", "urllib.request"),
    ],
)
def test_every_way_to_import_the_network_is_seen(line: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert network(tmp_path / "module.py") == {name}


@pytest.mark.parametrize(
    "line", ["from urllib.parse import urlsplit", "from http import HTTPStatus", "from .requests import JSON"]
)
def test_import_that_opens_no_connection_is_admitted(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert network(tmp_path / "module.py") == set()


def network(path: Path) -> set[str]:
    """Return the modules of `NETWORK` that *path* uses."""
    return {known for name in used(path) for known in NETWORK if name == known or name.startswith(f"{known}.")}


def used(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that *path* imports, or reads from an imported package."""
    nodes = list(ast.walk(tree(path)))
    imports = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    yield from imports
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and (name := ast.unparse(node)).startswith(
            tuple(f"{i}." for i in imports)
        ):
            yield name
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))
