"""Runs each function as a process of this machine; LocalStack itself runs functions in containers alone.

LocalStack loads `Processes` for ``LAMBDA_RUNTIME_EXECUTOR=process``. A process answers one invocation at a time, and a
process that has died or has run out of time is replaced at the next invocation. What it prints becomes the function's
log group. The code of all functions of one package is kept once, with its compiled files.
"""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from infra.conformance.plugin.process import Died, Process, TookTooLong

#: The folder of code and logs, given by `infra.conformance.endpoint`.
FOLDER = "HOLDFAST_FUNCTIONS"
_unpacking = threading.Lock()


class Processes(RuntimeExecutor):  # type: ignore[misc] # LocalStack is not installed where types are checked
    """One process of a function. LocalStack calls `invoke` from one thread at a time."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 # LocalStack's own name
        super().__init__(id=id, function_version=function_version)
        self._process: Process | None = None
        self._log = Path(os.environ[FOLDER], "logs", f"{function_version.id.function_name}-{id}.log")
        self._read = 0
        self._environment: dict[str, str] = {}
        self._path = ""

    def start(self, env_vars: dict[str, Any]) -> None:
        """Start the process; return when the handler is imported."""
        code = unpacked(self.function_version)
        # Modules are looked for in layers behind the code, as at AWS.
        places = [code, *(layer / "python" for layer in unpacked_layers(self.function_version))]
        self._path = os.pathsep.join(map(str, places))
        own = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "LAMBDA_TASK_ROOT": str(code)}
        self._environment = {**{name: str(value) for name, value in env_vars.items()}, **own}
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._running()

    def stop(self) -> None:
        """End the process at once."""
        if self._process:
            self._process.kill()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Let the process answer; an error, a death or a timeout becomes the answer that AWS gives."""
        request_id, timeout = payload["invoke-id"], self.function_version.config.timeout
        sent = {"request_id": request_id, "arn": payload["invoked-function-arn"], "payload": payload["payload"]}
        try:
            given = self._running().ask(sent, timeout)
        except TookTooLong:
            self.stop()
            given = _failed(
                "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout}.00 seconds"
            )
        except Died:
            self.stop()
            given = _failed("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited without a reason")
        return InvocationResult(request_id, given["payload"].encode(), is_error=given["error"], logs=self._printed())

    def get_logs(self) -> str:
        """Return all that the process has printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def get_address(self) -> str:
        """Return the address of the process."""
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        """Return LocalStack's address for the process."""
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        """Return the address of LocalStack's runtime API, which the process does not use."""
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}"

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code."""
        unpacked(function_version)

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Keep the code: other functions may have the same."""

    def _running(self) -> Process:
        """Return the process, a new one after the former has ended."""
        if self._process is None or not self._process.alive:
            self._process = Process(self._path, self._environment["_HANDLER"], self._environment, self._log)
        return self._process

    def _printed(self) -> str:
        """Return what the process has printed since the last call."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        return new.decode(errors="replace")


class ProcessesPlugin(RuntimeExecutorPlugin):  # type: ignore[misc] # as above
    """Names `Processes` to LocalStack."""

    name = "process"

    def load(self, *_: Any, **__: Any) -> type[Processes]:
        """Return the executor."""
        return Processes


def _failed(kind: str, message: str) -> dict[str, Any]:
    """Return the answer of AWS for an invocation without one."""
    return {"error": True, "payload": json.dumps({"errorType": kind, "errorMessage": message})}


def unpacked(function_version: FunctionVersion) -> Path:
    """Return the folder with the code, copied at the first call for this code."""
    return _unpacked(function_version.config.code)


def unpacked_layers(function_version: FunctionVersion) -> list[Path]:
    """Return the folders of the function's layers, each copied at the first call for its content."""
    return [_unpacked(layer.code) for layer in function_version.config.layers if layer.code]


def _unpacked(code: Any) -> Path:
    folder = Path(os.environ[FOLDER], "code", code.code_sha256.replace("/", "_").replace("=", ""))
    with _unpacking:
        if not folder.exists():
            code.prepare_for_execution()
            part = folder.with_suffix(".part")
            shutil.copytree(code.get_unzipped_code_location(), part, dirs_exist_ok=True)
            part.rename(folder)
    return folder
