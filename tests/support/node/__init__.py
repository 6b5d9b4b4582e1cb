"""Programs in Node: a receiver that verifies messages, and a client that follows a stream of events.

receiver.mjs       verifies each message by the npm packages `standardwebhooks` and `svix`
follower.mjs       follows a stream by the npm package `eventsource`
package.json       the packages: svix 1.82 is the last version with a verifier of its own; eventsource 3 runs in Node 18
package-lock.json  every package with its hash; `npm install --package-lock-only` writes the file

The packages come from npm's registry, or from npm's cache, once in each test session. Nothing is written to the
repository.
"""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.support.waiting import eventually

_FILES = ("package.json", "package-lock.json", "receiver.mjs", "follower.mjs")
_FETCH = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
_FETCH_SECONDS, _END_SECONDS = 120, 10


class NoNode(Exception):
    """Node, npm or npm's registry is missing; says which, and how to get it."""


class Verdict(NamedTuple):
    """A received message, and the reason of each package for a refusal: None if the package accepts the message."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    refusals: Mapping[str, str | None]
    status: int

    @property
    def event(self) -> Any:
        """The decoded JSON body."""
        return json.loads(self.body)

    @property
    def accepted_by(self) -> set[str]:
        """The packages that accept the message."""
        return {name for name, refusal in self.refusals.items() if refusal is None}


#: `Verdict.accepted_by` of a message that every package accepts.
EVERY_PACKAGE = {"standardwebhooks", "svix"}


class NodeReceiver:
    """A running receiver. *verdicts* has an entry for each message, in the order of their arrival."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.verdicts: list[Verdict] = []

    def use(self, secret: str) -> None:
        """Verify by *secret* from now on. Without a secret, every message is refused."""
        requests.put(self.url, secret.encode(), timeout=10).raise_for_status()

    def send(self, body: bytes, headers: Mapping[str, str]) -> Verdict:
        """Send a message and return the verdict. No other message may arrive meanwhile."""
        before = len(self.verdicts)
        answer = requests.post(self.url, body, headers=dict(headers), timeout=10)
        verdict = eventually(lambda: self.verdicts[before:])[0]
        assert answer.status_code == verdict.status
        return verdict


def fetch(folder: Path) -> None:
    """Copy the programs to *folder*, with their packages.

    Raises:
        NoNode: Node or npm is missing, or the packages cannot be had.
        AssertionError: a package has another hash than the lock file.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise NoNode("needs Node and npm: apt-get install nodejs npm")
    for name in _FILES:
        shutil.copy(Path(__file__).parent / name, folder)
    done = subprocess.run(_FETCH, cwd=folder, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    assert "EINTEGRITY" not in done.stderr, done.stderr
    if done.returncode:
        raise NoNode(f"needs packages of npm's registry: {done.stderr.strip()}")


@contextmanager
def verifying(folder: Path) -> Iterator[NodeReceiver]:
    """Run the receiver of *folder* during the block."""
    with subprocess.Popen(["node", "receiver.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdin
        assert node.stdout
        receiver = NodeReceiver(f"http://127.0.0.1:{json.loads(node.stdout.readline())['port']}")

        def follow() -> None:
            for line in node.stdout or ():
                told = json.loads(line)
                receiver.verdicts.append(Verdict(**{**told, "body": base64.b64decode(told["body"])}))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            node.stdin.close()
            node.wait(_END_SECONDS)
            thread.join()


def followed(folder: Path, url: str, token: str) -> Iterator[Any]:
    """Yield the data of each message of the stream at *url*, until the stream's end, by the program of *folder*.

    Raises:
        AssertionError: the stream ended by an error.
    """
    command, environ = ["node", "follower.mjs", url], {**os.environ, "TOKEN": token}
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as node:
        assert node.stdin
        assert node.stdout
        assert node.stderr
        try:
            for line in node.stdout:
                yield json.loads(line)
        finally:
            node.stdin.close()
            status = node.wait(_END_SECONDS)
        assert status == 0, node.stderr.read()


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs. Where Node or its packages are missing, tests are skipped at home and fail in CI."""
    folder = tmp_path_factory.mktemp("node")
    try:
        fetch(folder)
    except NoNode as missing:
        (pytest.fail if "CI" in os.environ else pytest.skip)(str(missing))
    return folder


@pytest.fixture
def node_receiver(node_packages: Path) -> Iterator[NodeReceiver]:
    """A receiver in Node, on a free port."""
    with verifying(node_packages) as receiver:
        yield receiver
