"""LocalStack 4.14.0 as a child process on 127.0.0.1, with its data in a folder. No container, no download."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from infra.conformance.plugin.process import START_SECONDS as FUNCTION_SECONDS
from infra.environment import ROOT, Environment
from infra.host import ports
from infra.local.processes.child import Child
from infra.local.processes.emulator import healthy

if TYPE_CHECKING:
    from pathlib import Path


#: Made by scripts/conformance alone, with the interpreter of the functions.
LOCALSTACK = Environment(".venv/localstack", ("infra/conformance/requirements.txt",), builds=True)
#: What LocalStack loads from `infra.conformance.plugin`: its group of entry points, then name and object.
ENTRY_POINTS = """\
[localstack.aws.provider]
dynamodb:forward = infra.conformance.plugin.tables:tables
dynamodbstreams:forward = infra.conformance.plugin.tables:streams

[localstack.lambda.runtime_executor]
process = infra.conformance.plugin.executor:ProcessesPlugin
"""
METADATA = "Metadata-Version: 2.1\nName: holdfast-conformance\nVersion: 1\n"
#: Without its docker containers and downloads, LocalStack was seen to take 8 s.
START_SECONDS = 180
#: LocalStack was seen to hang on SIGTERM.
END_SECONDS = 10
#: Idle functions end after this time.
KEEP_MILLISECONDS = 60_000
#: How often the queues of functions are looked into: as often as the emulator does.
LOOK_SECONDS = 0.5


class LocalStack:
    """A LocalStack with its data in *folder*, on the interpreter of *environment*, with its tables at *tables_url*."""

    def __init__(self, folder: Path, tables_url: str, environment: Environment = LOCALSTACK) -> None:
        self.folder = folder
        self.child = Child("LocalStack", folder / "localstack.log")
        self.port = ports.free()
        self._python = environment.python(ROOT)
        self._tables_url = tables_url

    @property
    def url(self) -> str:
        """The URL for AWS clients."""
        return f"http://{ports.HOST}:{self.port}"

    def start(self) -> None:
        """Start LocalStack; return when it answers.

        Raises:
            ChildFailed: LocalStack ended, or did not answer in time; the text holds the end of the log.
        """
        register(self.folder / "plugin")
        for private in ("home", "data", "tmp", "functions"):
            (self.folder / private).mkdir(parents=True, exist_ok=True)
        self.child.spawn([self._python, "-m", "localstack.runtime.main"], self._environment(), folder=self.folder)
        self.child.until(lambda: healthy(self.port), START_SECONDS)

    def stop(self) -> None:
        """End LocalStack and its functions. Nothing is kept."""
        self.child.terminate(deadline_seconds=END_SECONDS)

    def _environment(self) -> dict[str, str]:
        address = f"{ports.HOST}:{self.port}"
        return {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "FILESYSTEM_ROOT": str(self.folder / "data"),
            # The plugin is found by its entry points, and imported from the repository.
            "PYTHONPATH": os.pathsep.join([str(self.folder / "plugin"), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GATEWAY_LISTEN": address,
            "LOCALSTACK_HOST": address,
            # It would serve names, fetch a certificate, and report its use to its makers.
            "DNS_ADDRESS": "0",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "EAGER_SERVICE_LOADING": "0",
            # WebSockets are not in this edition; without this, the whole stack would fail.
            "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "1",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "LAMBDA_KEEPALIVE_MS": str(KEEP_MILLISECONDS),
            # 20 s by default: functions were given up on a machine under load, and their callers got a 504.
            "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": str(FUNCTION_SECONDS),
            # A minute before the first repeat of an event, and two before the second, as at AWS, unless it is told.
            "LAMBDA_RETRY_BASE_DELAY": "1",
            # It pauses for a second after each look into a queue, up to ten after empty ones. AWS pauses never.
            "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": str(LOOK_SECONDS),
            "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": str(LOOK_SECONDS),
            "PROVIDER_OVERRIDE_DYNAMODB": "forward",
            "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "forward",
            "HOLDFAST_DYNAMODB_URL": self._tables_url,
            "HOLDFAST_FUNCTIONS": str(self.folder / "functions"),
        }


def register(folder: Path) -> None:
    """Write the plugin's entry points into *folder*, as an installed package has them."""
    info = folder / "holdfast_conformance-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
