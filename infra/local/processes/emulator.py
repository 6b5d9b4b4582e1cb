"""The AWS endpoint as a child process: MiniStack, on 127.0.0.1 only, its state kept in a folder.

It gets an environment made from nothing, because its Lambda workers inherit all of it: no variable of the
caller's shell may reach a function.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sysconfig
from pathlib import Path

from infra.environment import EMULATOR, FUNCTIONS, ROOT
from infra.host import ports
from infra.local.processes.child import Child

MAIN = Path(__file__).with_name("emulator_main.py")
#: One process per concurrent invocation: past this the answer is 429, as it is on AWS past 1000.
CONCURRENT_EXECUTIONS = 120
#: What a burst leaves behind is gone after a minute; one worker per function stays.
WARM_SECONDS = 60
#: With 20,000 records, saving was seen to take 15 s on a busy machine; killed meanwhile, it would lose them all.
SAVING_SECONDS = 120


class Emulator:
    """One emulator and its state folder. The same folder keeps its port as long as nobody else takes it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.child = Child("the AWS emulator", folder / "emulator.log")
        self._wanted = port
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients connect."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The emulator's process id; its Lambda workers are its children."""
        return self.child.pid

    def start(self) -> None:
        """Start and return when it answers, after about half a second.

        Raises:
            ChildFailed: it would not start; with the end of its log.
        """
        self.spawn()
        self.ready()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        self.port = self._wanted or ports.remembered(self.folder / "port")
        # Workers that were killed leave their unpacked code behind.
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        for private in ("home", "state", "s3", "tmp"):
            (self.folder / private).mkdir(parents=True, exist_ok=True)
        packages = sysconfig.get_path("purelib", vars={"base": str(ROOT / EMULATOR.folder)})
        python = FUNCTIONS.python(ROOT)
        self.child.spawn([python, "-I", MAIN, packages, ports.HOST, str(self.port)], self._environment())

    def ready(self, deadline_seconds: float = 30) -> None:
        """Block until the spawned process answers.

        Raises:
            ChildFailed: it ended first, or took too long.
        """
        self.child.until(lambda: healthy(self.port), deadline_seconds)

    def stop(self) -> None:
        """End it in order; only this saves its state."""
        self.child.terminate(deadline_seconds=SAVING_SECONDS)

    def kill(self) -> None:
        """End it and its workers at once: state since its start is lost."""
        self.child.kill()

    def restart(self) -> None:
        """Stop, if it still runs, and start on the same port and state."""
        self.stop()
        self._wanted = self._wanted or self.port or None
        self.start()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            # Workers unpack their code afresh each time; compiled copies would be thrown away.
            "PYTHONDONTWRITEBYTECODE": "1",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": ports.HOST,
            "MINISTACK_HOST": ports.HOST,
            # Its MQTT broker listens on all interfaces whatever BIND_HOST says.
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
        }


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
