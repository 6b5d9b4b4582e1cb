"""Serves the AWS emulator in the functions' interpreter: ``python -I launcher.py SITE-PACKAGES HOST PORT``.

The emulator starts its Lambda workers with its own ``sys.executable``. By lending it its packages in this
process only, those workers see what requirements.txt installs and nothing of the emulator's.
"""

import asyncio
import os
import resource
import signal
import sys
from importlib import import_module


async def serve(address: str) -> None:
    """Serve until SIGTERM; then save the state and return."""
    config = import_module("hypercorn.config").Config()
    config.bind = [address]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop, told)
    app = import_module("ministack.app").app
    await import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=told.wait)


def stop(told: asyncio.Event) -> None:
    """Ask the whole group to end, ourselves included.

    Invocations are cut off first: otherwise the server would wait for the long polls of callers who have
    been told already.
    """
    if not told.is_set():
        told.set()
        os.killpg(0, signal.SIGTERM)


def main(packages: str, host: str, port: str) -> None:
    """Serve, then end every process that is left of our group."""
    # First, so that the emulator runs with the versions it was pinned with.
    sys.path.insert(0, packages)
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
