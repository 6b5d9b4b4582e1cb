"""Packages and deploys one stage, in forks of a fork server that runs only as long as it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from infra.local.deployer.fork_server import ForkServer

if TYPE_CHECKING:
    from pathlib import Path


class Deployed(NamedTuple):
    """Where the API is, and which of its routes may hold a request."""

    api_url: str
    waiting: list[tuple[str, str]]


class Deployer:
    """Runs the tasks of tasks.py. A *warm* one keeps its fork server, for 70 MB, and is quick from then on.

    Every method raises TaskFailed with the text of the failed task; the deployment before keeps serving.
    """

    def __init__(self, folder: Path, stage: str, *, warm: bool) -> None:
        self._folder = str(folder / "package")
        self._stage = stage
        self._warm = warm
        self._fork_server = ForkServer(folder)

    def start(self) -> None:
        """Load, while others start."""
        self._fork_server.start()

    def package(self, *, vendor: bool) -> None:
        """Build the package; with *vendor* it holds its requirements."""
        self._fork_server.call("package", stage=self._stage, folder=self._folder, vendor=vendor)

    def deploy(self, endpoint: str, variables: dict[str, str]) -> Deployed:
        """Deploy what was packaged, with *variables* in every function; *endpoint* is our emulator's, if it is ours."""
        done = self._fork_server.call(
            "deploy", stage=self._stage, folder=self._folder, endpoint=endpoint, variables=variables
        )
        return Deployed(done["api_url"], [(method, path) for method, path in done["waiting"]])

    def admin(self, endpoint: str) -> str | None:
        """Make the first administrator; return the password if one was invented."""
        password: str | None = self._fork_server.call("admin", stage=self._stage, endpoint=endpoint)
        return password

    def rest(self) -> None:
        """Let go of what is loaded, unless it is to stay warm."""
        if not self._warm:
            self.stop()

    def stop(self) -> None:
        """End the fork server and the task at work."""
        self._fork_server.stop()
