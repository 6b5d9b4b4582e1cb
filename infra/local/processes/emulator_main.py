"""Serves the AWS emulator in the functions' interpreter: ``python -I emulator_main.py SITE-PACKAGES HOST PORT``.

The emulator starts its Lambda workers with its own ``sys.executable``. The emulator's packages are added to the path of
this process only, so workers see the packages of requirements.txt and none of the emulator's.

Differences from AWS that no call from outside can change are corrected here, in the pinned version's own modules.
"""

import asyncio
import os
import resource
import signal
import sys
from importlib import import_module
from typing import Any

#: The emulator's variables for the records of streams, and for the number of expired records.
STREAMS = ("_stream_records", "_stream_trimmed")


async def serve(address: str) -> None:
    """Serve until SIGTERM; then save the state and return."""
    config = import_module("hypercorn.config").Config()
    config.bind = [address]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    stop_requested = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop, stop_requested)
    app = import_module("ministack.app").app
    await import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=stop_requested.wait)


def stop(stop_requested: asyncio.Event) -> None:
    """Send SIGTERM to the whole process group, this process included.

    Invocations are cut off first. Otherwise the server would wait for the long polls of callers that are ending too.
    """
    if not stop_requested.is_set():
        stop_requested.set()
        os.killpg(0, signal.SIGTERM)


def keep_streams() -> None:
    """Save the records of streams together with their tables.

    The emulator itself saves only the read position of a stream. A restart would lose unread records, and would then
    skip as many new records as had been read before.
    """
    tables: Any = import_module("ministack.services.dynamodb")
    saved, restored = tables.get_state, tables.load_persisted_state

    def get_state() -> dict[str, Any]:
        return {**saved(), **{name: getattr(tables, name) for name in STREAMS}}

    def load_persisted_state(state: dict[str, Any]) -> None:
        restored(state)
        for name in STREAMS:
            getattr(tables, name).update(state.get(name, {}))

    tables.get_state, tables.load_persisted_state = get_state, load_persisted_state


def allow_batches() -> None:
    """Map each SQS batch action to the right of the single action: SQS has no separate rights for batches."""
    actions: Any = import_module("ministack.core.iam_actions")
    found = actions.extract_iam_action

    def extract_iam_action(*asked: Any, **named: Any) -> str | None:
        action: str | None = found(*asked, **named)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    actions.extract_iam_action = extract_iam_action


def main(packages: str, host: str, port: str) -> None:
    """Serve until SIGTERM, then kill the rest of the process group."""
    # First in the path, so that the emulator runs with its pinned versions.
    sys.path.insert(0, packages)
    keep_streams()
    allow_batches()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner() as runner:
        try:
            runner.run(serve(f"{host}:{port}"))
        finally:
            # The signal ends this process too. Only the emulator's threads are left, and some would take long to end.
            os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
