"""``scripts/serve`` beside a running stack, as a process owned by its test."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

import psutil
import requests

from infra.environment import ROOT
from infra.host import ports
from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.support.waiting import eventually

#: Fewer open files than callers: the server must raise the limit itself.
_WITH_FEW_FILES = ("bash", "-c", 'ulimit -Sn 256; exec "$@"', "bash")
_START_SECONDS, _STOP_SECONDS, _PATIENCE_SECONDS = 30.0, 40.0, 20.0


class ServeProcess:
    """A ``scripts/serve`` process, logging to ``serve.log`` of *folder*; ``with`` starts and stops the process."""

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        *,
        processes: int = 2,
        as_deployed: bool = False,
        root: Path = ROOT,
        **options: int,
    ) -> None:
        """Serve *stack*, found by *folder*, or with *as_deployed* by stage name and credentials alone.

        *options* are the command's own; *root* is the checkout that serves.
        """
        running_stack.write(folder, Run(Identity.of(os.getpid()), stack.url, stack.environment))
        self._command = str(root / "scripts/serve")
        self.port, self.processes, self.log = ports.free(), processes, folder / "serve.log"
        place: dict[str, object] = {"stage": stack.stage} if as_deployed else {"data": folder}
        own = {**place, "port": self.port, "processes": processes, **options}
        self._options = [f"--{name}={value}" for name, value in own.items()]
        # No variables of the shell: the server must find its stack by the options alone.
        self._environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if as_deployed:
            known = stack.environment.items()
            self._environment |= {name: value for name, value in known if name.startswith("AWS_")}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the started process, the parent of the workers."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def start(self) -> Self:
        """Start the process and wait for its first answer; stop the process on failure."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_WITH_FEW_FILES, self._command, *self._options],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Like in a terminal: a process group of its own, for Ctrl-C.
                start_new_session=True,
            )
        try:
            eventually(self.ready, _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        return [child for child in psutil.Process(self.pid).children() if _answers(child)]

    def send_stop(self) -> None:
        """Send the stop signal, without waiting."""
        assert self._process
        self._process.terminate()

    def interrupt(self) -> int:
        """Send Ctrl-C and return the exit code; fail after 20 s, before the server would kill its workers."""
        os.killpg(self.pid, signal.SIGINT)
        return self._ended(_PATIENCE_SECONDS)

    def stop(self) -> int:
        """Stop the server; return the exit code."""
        self.send_stop()
        return self._ended(_STOP_SECONDS)

    def wait(self) -> int:
        """Wait for the server to end by itself; return the exit code."""
        return self._ended(_PATIENCE_SECONDS)

    def _ended(self, deadline_seconds: float) -> int:
        assert self._process
        try:
            return self._process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def kill(self) -> None:
        """Kill the started process alone, so that no worker is notified."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def ready(self) -> bool:
        """Whether all workers answer; fail if the process has ended."""
        assert self._process
        assert self._process.poll() is None, self.log.read_text()
        return len(self.workers()) == self.processes and requests.get(f"{self.url}/health", timeout=5).ok


def _answers(process: psutil.Process) -> bool:
    # Each worker has a listening socket of its own.
    try:
        return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections("tcp"))
    except psutil.Error:
        return False
