"""Serves the AWS emulator in the functions' interpreter: ``python -I emulator_main.py SITE-PACKAGES HOST PORT``.

The emulator starts its Lambda workers with its own ``sys.executable``. By lending it its packages in this
process only, those workers see what requirements.txt installs and nothing of the emulator's.

Where it differs from AWS in what no call from outside can change, it is set right here, in the pinned version's own
modules.
"""

import asyncio
import os
import resource
import signal
import sys
from importlib import import_module
from typing import Any

#: Where the emulator has what streams hold, and how much of it has expired.
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
    """Ask the whole group to end, ourselves included.

    Invocations are cut off first: otherwise the server would wait for the long polls of callers who are
    ending too.
    """
    if not stop_requested.is_set():
        stop_requested.set()
        os.killpg(0, signal.SIGTERM)


def keep_streams() -> None:
    """Save what streams hold with the tables they belong to.

    By itself the emulator saves only how far they were read: a restart would lose what nobody has read yet, and of
    what comes after it as many records would be skipped as had been read before.
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
    """Let whoever may send a message send many at once: SQS has no rights of their own for batches."""
    actions: Any = import_module("ministack.core.iam_actions")
    found = actions.extract_iam_action

    def extract_iam_action(*asked: Any, **named: Any) -> str | None:
        action: str | None = found(*asked, **named)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    actions.extract_iam_action = extract_iam_action


def main(packages: str, host: str, port: str) -> None:
    """Serve, then end every process that is left of our group."""
    # First, so that the emulator runs with the versions it was pinned with.
    sys.path.insert(0, packages)
    keep_streams()
    allow_batches()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner() as runner:
        try:
            runner.run(serve(f"{host}:{port}"))
        finally:
            # This ends us too: all that is left are threads of the emulator, and some take their time.
            os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
