"""The API by its other door: ``scripts/serve`` beside a running stack, as a process that its test owns."""

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

#: Fewer files than it may have callers: it is to ask for more by itself.
_WITH_FEW_FILES = ("bash", "-c", 'ulimit -Sn 256; exec "$@"', "bash")
_START_SECONDS, _STOP_SECONDS, _PATIENCE_SECONDS = 30.0, 40.0, 20.0


class Served:
    """Such a process, whose words are in ``serve.log`` of *folder*; ``with Served(...)`` starts it and ends it."""

    def __init__(
        self, stack: Stack, folder: Path, *, processes: int = 2, as_deployed: bool = False, **options: int
    ) -> None:
        """Serve *stack*, which *folder* leads to; *as_deployed*, only its stage's name and credentials do.

        *options* are the command's own.
        """
        running_stack.write(folder, Run(Identity.of(os.getpid()), stack.url, stack.environment))
        self.port, self.processes, self.log = ports.free(), processes, folder / "serve.log"
        place: dict[str, object] = {"stage": stack.stage} if as_deployed else {"data": folder}
        own = {**place, "port": self.port, "processes": processes, **options}
        self._options = [f"--{name}={value}" for name, value in own.items()]
        # Nothing that the shell names: it is to find its stack by these alone.
        self._environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if as_deployed:
            known = stack.environment.items()
            self._environment |= {name: value for name, value in known if name.startswith("AWS_")}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started; those that answer are its children."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def start(self) -> Self:
        """Return when it answers, or leave nothing behind."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_WITH_FEW_FILES, str(ROOT / "scripts/serve"), *self._options],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # As a terminal has it: a group of its own, which a Ctrl-C goes to.
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
        """Return the processes that take requests."""
        return [child for child in psutil.Process(self.pid).children() if _answers(child)]

    def ask_to_stop(self) -> None:
        """Ask it to end, and do not wait for that."""
        assert self._process
        self._process.terminate()

    def interrupt(self) -> int:
        """Press Ctrl-C, and return its exit code when it has ended, before it would kill whoever does not."""
        os.killpg(self.pid, signal.SIGINT)
        return self._ended(_PATIENCE_SECONDS)

    def stop(self) -> int:
        """Ask it to end, and return its exit code when it has."""
        self.ask_to_stop()
        return self._ended(_STOP_SECONDS)

    def ended(self) -> int:
        """Return its exit code when it has ended by itself."""
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
        """End the one that was started, and nothing else, without a chance to say so to the others."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def ready(self) -> bool:
        """Whether as many answer as were asked for; fail where it has ended."""
        assert self._process
        assert self._process.poll() is None, self.log.read_text()
        return len(self.workers()) == self.processes and requests.get(f"{self.url}/health", timeout=5).ok


def _answers(process: psutil.Process) -> bool:
    # Each has a socket of its own, and the system chooses among those that listen.
    try:
        return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections("tcp"))
    except psutil.Error:
        return False
