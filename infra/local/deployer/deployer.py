"""Packages and deploys a stage, in forks of a fork server that runs only while needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from infra.local.deployer.fork_server import ForkServer

if TYPE_CHECKING:
    from pathlib import Path


class Deployed(NamedTuple):
    """The URLs of the API and of its WebSockets, and the routes that may hold a request."""

    api_url: str
    sockets_url: str
    waiting: list[tuple[str, str]]


class Deployer:
    """Runs the tasks of tasks.py. A *warm* deployer keeps its fork server (70 MB), so later tasks start faster.

    `check`, `package`, `deploy` and `admin` raise TaskFailed with the text of the failed task, or ChildFailed if the
    fork server has ended. After a failure the earlier deployment keeps serving.
    """

    def __init__(self, folder: Path, stage: str, *, warm: bool) -> None:
        self._folder = str(folder / "package")
        self._stage = stage
        self._warm = warm
        self._fork_server = ForkServer(folder)

    def start(self) -> None:
        """Start the fork server without waiting."""
        self._fork_server.start()

    def check(self) -> None:
        """Return if the variables of the shell can serve a start, else raise TaskFailed."""
        self._fork_server.call("check")

    def package(self, *, vendor: bool) -> None:
        """Build the package. With *vendor*, the package contains its requirements."""
        self._fork_server.call("package", stage=self._stage, folder=self._folder, vendor=vendor)

    def deploy(self, endpoint: str, variables: dict[str, str], *, exclusive: bool) -> Deployed:
        """Deploy the built package, with *variables* in every function.

        *endpoint* is the URL of the stack's own emulator, empty for a foreign endpoint. *exclusive* says that the
        database's server belongs to this stack alone.
        """
        more: dict[str, Any] = {"endpoint": endpoint, "variables": variables, "exclusive": exclusive}
        done = self._fork_server.call("deploy", stage=self._stage, folder=self._folder, **more)
        waiting = [(method, path) for method, path in done["waiting"]]
        return Deployed(done["api_url"], done["sockets_url"], waiting)

    def admin(self, endpoint: str) -> tuple[str, str | None]:
        """Make or restore the first administrator. Return the state, and the password if generated, else None."""
        done = self._fork_server.call("admin", stage=self._stage, endpoint=endpoint)
        return done["state"], done["password"]

    def rest(self) -> None:
        """End the fork server to free its memory, unless the deployer is *warm*."""
        if not self._warm:
            self.stop()

    def stop(self) -> None:
        """End the fork server and the running task."""
        self._fork_server.stop()
