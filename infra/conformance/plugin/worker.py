"""A function's process: ``python -I -S worker.py FOLDER HANDLER``, with the function's code in *FOLDER*.

Invocations come as lines of JSON on standard input, and answers leave as lines of JSON on standard output as it was at
the start. What the code prints goes to standard error. The process ends with its standard input.
"""

import contextlib
import json
import os
import sys
import time
import traceback
from importlib import import_module
from typing import Any


class Context:
    """The context of an invocation, as the runtime of AWS gives it to a handler."""

    def __init__(self, invocation: dict[str, Any]) -> None:
        environ = os.environ
        self.aws_request_id = invocation["request_id"]
        self.invoked_function_arn = invocation["arn"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = self.identity = None
        self._deadline = time.monotonic() + float(environ["AWS_LAMBDA_FUNCTION_TIMEOUT"])

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function's timeout."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def described(error: BaseException) -> dict[str, Any]:
    """Return *error* as the runtime of AWS answers it."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def answered(handle: Any, line: str) -> dict[str, Any]:
    """Call the handler with the invocation in *line*; return its answer, or its error."""
    invocation = json.loads(line)
    try:
        payload = json.dumps(handle(json.loads(invocation["payload"] or "null"), Context(invocation)))
    except Exception as error:  # noqa: BLE001 # the outermost edge: any error is the function's answer
        print(f"[ERROR] {type(error).__name__}: {error}\n{traceback.format_exc()}", flush=True)
        return {"error": True, "payload": json.dumps(described(error))}
    return {"error": False, "payload": payload}


def main(path: str, handler: str) -> None:
    """Answer invocations until standard input ends. *path* begins with the folder of the code; layers follow."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folders = path.split(os.pathsep)
    sys.path[:0] = folders
    os.chdir(folders[0])
    module, _, name = handler.rpartition(".")
    handle = getattr(import_module(module.replace("/", ".")), name)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answered(handle, line)), file=answers, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        main(*sys.argv[1:])
