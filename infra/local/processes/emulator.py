"""The AWS endpoint as a child process: MiniStack, on 127.0.0.1 only, with its state in a folder.

The emulator gets an environment made from nothing. Its Lambda workers inherit the whole environment, and no variable of
the caller's shell may reach a function.
"""

from __future__ import annotations

import http.client
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from infra.environment import EMULATOR, FUNCTIONS, ROOT
from infra.host import interpreter, ports
from infra.local.processes.child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN = Path(__file__).with_name("emulator_main.py")
#: The most concurrent invocations, each in a process. Beyond the limit the answer is 429, as on AWS beyond 1000.
CONCURRENT_EXECUTIONS = 120
#: Idle workers end after this time; a single worker for each function stays.
WARM_SECONDS = 60
#: Saving 20,000 records was seen to take 15 s on a busy machine. A kill while saving would lose all records.
SAVING_SECONDS = 120


class Emulator:
    """An emulator and its state folder. The folder keeps its port unless another process takes the port.

    The emulator and its Lambda workers get *variables* beside their own.
    """

    def __init__(self, folder: Path, port: int | None = None, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self.folder = folder
        self.child = Child("the AWS emulator", folder / "emulator.log")
        self._wanted = port
        self.port = 0
        #: If the last run was killed: the moment of the state that this run begins with, in seconds since 1970, or 0
        #: if nothing had been saved. None after an orderly end.
        self.lost_after: float | None = None

    @property
    def endpoint_url(self) -> str:
        """The URL for AWS clients."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The emulator's process id. The Lambda workers are children of this process."""
        return self.child.pid

    @property
    def lost_state(self) -> str | None:
        """A sentence for the operator if a kill has lost changes of the last run, else None."""
        if (moment := self.lost_after) is None:
            return None
        kept = f"those of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(moment))}" if moment else "new and empty"
        return (
            f"The AWS endpoint was killed in its last run. Its tables and queues are {kept}: later changes are lost, "
            "and lists may still show them. Run scripts/reconcile to make the lists agree with the tables."
        )

    @property
    def python_version(self) -> str:
        """The version of the Python that runs the emulator and its Lambda workers, such as ``3.13.1``."""
        known = interpreter.probed(FUNCTIONS.python(ROOT))
        return known.version if known else "unknown"

    def workers(self, function_name: str) -> list[int]:
        """Return the process ids that serve *function_name* at the moment."""
        return [child.pid for child in psutil.Process(self.pid).children() if _serves(child) == function_name]

    def start(self) -> None:
        """Start the emulator; return when it answers, after about half a second.

        Raises:
            ChildFailed: the emulator did not start; the text holds the end of the log.
        """
        self.spawn()
        self.ready()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        self.port = self._wanted or ports.remembered(self.folder / "port")
        self.lost_after = lost_after(self.folder)
        # Killed workers leave their unpacked code behind.
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        for private in ("home", "state", "s3", "tmp"):
            (self.folder / private).mkdir(parents=True, exist_ok=True)
        python = FUNCTIONS.python(ROOT)
        self.child.spawn([python, "-I", MAIN, ROOT / EMULATOR.folder, ports.HOST, str(self.port)], self._environment())

    def ready(self, deadline_seconds: float = 30) -> None:
        """Block until the spawned process answers.

        Raises:
            ChildFailed: the process ended first, or was not ready in time.
        """
        self.child.until(lambda: healthy(self.port), deadline_seconds)

    def stop(self) -> None:
        """End the emulator in order. The state is saved to its last change."""
        self.child.terminate(deadline_seconds=SAVING_SECONDS)

    def kill(self) -> None:
        """Kill the emulator and its workers at once. Changes of the last seconds are lost (`emulator_main.Saver`)."""
        self.child.kill()

    def restart(self) -> None:
        """Stop the emulator if running, and start on the same port and state."""
        self.stop()
        self._wanted = self._wanted or self.port or None
        self.start()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            # Workers unpack their code at each start, so compiled files would never be reused.
            "PYTHONDONTWRITEBYTECODE": "1",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": ports.HOST,
            "MINISTACK_HOST": ports.HOST,
            # The emulator's MQTT broker ignores BIND_HOST and listens on all interfaces.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "LAMBDA_ACCOUNT_CONCURRENCY": str(CONCURRENT_EXECUTIONS),
            "LAMBDA_WARM_TTL_SECONDS": str(WARM_SECONDS),
            "LOG_LEVEL": "WARNING",
            **self._variables,
        }


def lost_after(folder: Path) -> float | None:
    """Return the moment of the state in *folder*, 0 without a saved state; None if the last run ended in order."""
    if not (folder / "unsaved").exists():
        return None
    try:
        return float((folder / "saved").read_text())
    except (OSError, ValueError):
        return 0.0


def healthy(port: int) -> bool:
    """Whether an emulator answers on *port*."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=1)
    try:
        connection.request("GET", "/_localstack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _serves(process: psutil.Process) -> str | None:
    """Return the name of the function that a worker process serves, else None."""
    try:
        return process.environ().get("AWS_LAMBDA_FUNCTION_NAME")
    except psutil.Error:
        return None
