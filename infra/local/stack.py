"""The whole stack: database, AWS endpoint, the deployed application and the URL in front of it.

Used by ``scripts/up`` and by the tests. ``MONGODB_URI`` and ``AWS_ENDPOINT_URL`` (or ``LOCALSTACK_HOST``) replace
the database and the endpoint by others that already run.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psutil

from infra.local.clients import Clients, ForeignClients, OwnClients, foreign_wanted
from infra.local.deployer.deployer import Deployer
from infra.local.processes.emulator import Emulator
from infra.local.processes.mongod import Mongod
from infra.local.proxy.server import Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infra.local.processes.child import Child

Part = TypeVar("Part")


class NotOurs(Exception):
    """There is no such process of ours: it was not started, or the environment names another one to use."""


class Stopped(Exception):
    """``stop`` was called while ``start`` was at work."""


class Stack:
    """Everything in *folder*, which keeps the data; ``with Stack(...)`` starts it and stops it.

    *on_step* is called with each step and its seconds, *on_fault* with the emulator's own words where a caller gets a
    problem instead; both on any thread. A *warm* one is ready to redeploy at any moment, for 70 MB.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        stage: str = "local",
        warm: bool = False,
        on_step: Callable[[str, float], None] = lambda _name, _seconds: None,
        on_fault: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self.folder = folder
        self.stage = stage
        #: The password of the first administrator, if this start invented one.
        self.admin_password: str | None = None
        self._port = port
        self._on_step = on_step
        self._on_fault = on_fault
        self._mongod = None if os.environ.get("MONGODB_URI") else Mongod(folder / "mongod")
        self._emulator = None if foreign_wanted() else Emulator(folder / "emulator")
        self._front: Front | None = None
        self._clients: Clients | None = None
        self._deployer = Deployer(folder, stage, warm=warm)
        self._api_url: str | None = None
        self._variables: dict[str, str] = {}
        self._stopped = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What runs where.

    @property
    def mongod(self) -> Mongod:
        """The database's process.

        Raises:
            NotOurs: MONGODB_URI names another one.
        """
        return _ours(self._mongod)

    @property
    def emulator(self) -> Emulator:
        """The AWS endpoint's process.

        Raises:
            NotOurs: the environment names another one.
        """
        return _ours(self._emulator)

    @property
    def front(self) -> Front:
        """The server behind ``url``."""
        return _ours(self._front)

    @property
    def url(self) -> str:
        """Where callers connect, without a slash at the end."""
        return self.front.url

    @property
    def api_url(self) -> str:
        """Where the gateway serves the API: what the front forwards to."""
        return _ours(self._api_url)

    @property
    def mongodb_uri(self) -> str:
        """Where the database is."""
        return self._mongod.uri if self._mongod else os.environ["MONGODB_URI"]

    @property
    def endpoint_url(self) -> str:
        """Where AWS services are."""
        return _ours(self._clients).url

    def client(self, service: str) -> Any:
        """Return an AWS client of *service*, with every right."""
        return _ours(self._clients).client(service)

    @property
    def environment(self) -> dict[str, str]:
        """What a program outside needs in its environment to act as a part of this stack."""
        keys = _ours(self._clients).keys
        function = self.client("lambda").get_function_configuration(FunctionName=f"holdfast-{self.stage}-api")
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": keys.key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_REGION": keys.region,
            "AWS_DEFAULT_REGION": keys.region,
            "HOLDFAST_URL": self.url,
            # The database, names, addresses: whatever the deployed functions were given.
            **function["Environment"]["Variables"],
        }

    @property
    def children(self) -> list[Child]:
        """The processes that we run ourselves."""
        return [part.child for part in (self._mongod, self._emulator) if part]

    @property
    def owns_endpoint(self) -> bool:
        """Whether the AWS endpoint is our own emulator."""
        return self._emulator is not None

    def workers(self, function_name: str) -> list[int]:
        """Return the process ids that serve *function_name* at the moment."""
        children = psutil.Process(self.emulator.pid).children()
        return [child.pid for child in children if _serves(child) == function_name]

    # What happens to it.

    def start(self) -> None:
        """Return when the API answers at ``url``; whatever fails, nothing is left running.

        Raises:
            PortTaken: before anything was started.
            Stopped: by another thread.
            ChildFailed, TaskFailed, Unreachable: with the words of who failed.
        """
        try:
            self._front = Front(self._port, on_fault=self._on_fault)
            self._deployer.start()
            self._run_processes()
            self._deploy()
            with self._step("administrator"):
                self.admin_password = self._deployer.admin(self._own_endpoint)
            self.front.start()
            self._deployer.rest()
        except BaseException:
            self.stop()
            raise

    def redeploy(self, variables: dict[str, str] | None = None) -> None:
        """Package the code as it stands and replace what is deployed; with *variables* in every function.

        Without *variables* the last ones stay. Data is kept; invocations in flight are cut off.

        Raises:
            TaskFailed: what was deployed before keeps serving.
        """
        if variables is not None:
            self._variables = variables
        self._package()
        self._deploy()
        self._deployer.rest()

    def stop(self) -> None:
        """End everything; state and data are saved. Safe to repeat, and from another thread than ``start``."""
        self._stopped = True
        if self._front:
            self._front.stop()
        self._deployer.stop()
        ours = [part for part in (self._emulator, self._mongod) if part]
        with ThreadPoolExecutor() as pool:
            for stopping in [pool.submit(part.stop) for part in ours]:
                stopping.result()

    def _run_processes(self) -> None:
        """Start what is ours and package meanwhile."""
        with ThreadPoolExecutor() as pool:
            parts = [pool.submit(part) for part in (self._database, self._endpoint, self._package)]
            try:
                for part in as_completed(parts):
                    part.result()
            except BaseException:
                # The others are at work for nothing now.
                self.stop()
                raise

    def _database(self) -> None:
        if self._mongod:
            with self._step("database"):
                self._mongod.start()

    def _endpoint(self) -> None:
        if self._emulator is None:
            self._clients = ForeignClients()
            return
        with self._step("AWS endpoint"):
            self._emulator.start()
            self._clients = OwnClients(self._emulator.endpoint_url)

    def _package(self) -> None:
        with self._step("package"):
            # Functions of our own emulator import what is installed; another one only sees the package.
            self._deployer.package(vendor=self._emulator is None)

    def _deploy(self) -> None:
        variables = {"MONGODB_URI": self.mongodb_uri, **self._variables}
        with self._step("deployment"):
            deployed = self._deployer.deploy(self._own_endpoint, variables)
        self._api_url = deployed.api_url
        self.front.point(deployed.api_url, deployed.waiting)

    @property
    def _own_endpoint(self) -> str:
        """Our emulator's URL, or nothing where the environment names another endpoint."""
        return self._emulator.endpoint_url if self._emulator else ""

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        if self._stopped:
            raise Stopped
        began = time.monotonic()
        yield
        self._on_step(name, time.monotonic() - began)


def _ours(part: Part | None) -> Part:
    if part is None:
        raise NotOurs
    return part


def _serves(process: psutil.Process) -> str | None:
    """Return the function that a worker process serves."""
    try:
        return process.environ().get("AWS_LAMBDA_FUNCTION_NAME")
    except psutil.Error:
        return None
