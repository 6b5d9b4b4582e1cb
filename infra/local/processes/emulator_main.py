"""Serves the AWS emulator in the functions' interpreter: ``python -I emulator_main.py ENVIRONMENT HOST PORT``.

The emulator starts its Lambda workers with its own ``sys.executable``. The emulator's packages are added to the path of
this process only, so workers see the packages of requirements.txt and none of the emulator's.

Differences from AWS that no call from outside can change are corrected here, in the pinned version's own modules.
"""

import asyncio
import copy
import json
import os
import resource
import runpy
import shutil
import signal
import sys
import sysconfig
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

#: The emulator's variables for the records of streams, and for the number of expired records.
STREAMS = ("_stream_records", "_stream_trimmed")
#: Watches the work of a stack whose clock can jump. Loaded by its path, as this interpreter finds no module of infra.
WATCH = Path(__file__).parents[1] / "lab/watch.py"

#: The pause between two saves. After a long save the pause is a multiple of its CPU time, so that saving takes no more
#: than a tenth of a core, and that at a low priority.
PAUSE_SECONDS, PAUSE_FACTOR = 1.0, 9
#: A forked process may inherit a lock that no thread will release; the next save then takes another copy. Shorter than
#: the time for an orderly end (`emulator.SAVING_SECONDS`), which waits for the copy.
SAVE_DEADLINE_SECONDS = 60
#: Beginnings of actions that change nothing. The log follower of scripts/up calls such actions all the time.
READING = ("BatchGet", "Describe", "Filter", "Get", "List", "Query", "Scan")


class Saver:
    """Saves the state while the emulator serves, so that a kill loses the last seconds alone.

    A forked copy of the process does the work: the copy is the state of one moment, and no request waits. *state* is
    the folder of the emulator's own files. Beside it, the file ``saved`` holds the moment of the state in seconds since
    1970, and the file ``unsaved`` exists until an orderly end.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._changes = 0
        self._unsaved = state.with_name("unsaved")
        self._unsaved.touch()

    def counting(self, app: Any) -> Any:
        """Return *app*, with requests counted that may have changed the state."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            finally:
                # After the change: a save in between is followed by another one.
                self._changes += may_change(scope)

        return counted

    async def run(self, stop_requested: asyncio.Event) -> None:
        """Save after each change, with pauses, until the stop; return when no copy is left."""
        saved, pause = 0, PAUSE_SECONDS
        while not await _set_within(stop_requested, pause):
            if self._changes == saved:
                continue
            counted = self._changes
            done, cpu_seconds = await self._save()
            saved = counted if done else saved
            pause = max(PAUSE_SECONDS, PAUSE_FACTOR * cpu_seconds)

    def end(self) -> None:
        """Note that the emulator has saved its state in order."""
        note_saved(self._state, time.time())
        self._unsaved.unlink(missing_ok=True)

    async def _save(self) -> tuple[bool, float]:
        """Save in a forked copy; return whether the copy has succeeded, and its CPU time in seconds."""
        deadline = time.monotonic() + SAVE_DEADLINE_SECONDS
        with warnings.catch_warnings():
            # Threads are left behind in this process; the copy needs none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            save_and_exit(self._state)
        while True:
            ended, status, used = os.wait4(child, os.WNOHANG)
            if ended:
                return status == 0, used.ru_utime + used.ru_stime
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            await asyncio.sleep(0.02)


def may_change(scope: Any) -> bool:
    """Whether a request may change the state, by its method and its action."""
    if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
        return False
    target = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-amz-target"), "")
    return not target.rpartition(".")[2].startswith(READING)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event*, for *seconds* at most; return whether it is set."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def save_and_exit(state: Path) -> NoReturn:
    """Save in this forked copy and end it, with code 0 if all went well."""
    moment, code = time.time(), 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Callers' connections end when the emulator closes them, and not only when the copy has ended too.
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.nice(10)
        save(state)
        note_saved(state, moment)
        code = 0
    except BaseException:  # noqa: BLE001 # nothing above may run in the copy
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def save(state: Path) -> None:
    """Write the state of all services beside *state*, then put the files in place, within about a millisecond."""
    persistence: Any = import_module("ministack.core.persistence")
    functions: Any = import_module("ministack.services.lambda_svc")
    part = state.with_name("state.part")
    shutil.rmtree(part, ignore_errors=True)
    persistence.STATE_DIR = str(part)
    # Nothing else changes this copy. `json.dump` would encode in Python, ten times as slowly.
    vars(copy)["deepcopy"] = lambda value, _memo=None: value
    vars(json)["dump"] = lambda value, file, default: file.write(json.dumps(value, default=default))
    # A kill may leave the earlier state in use, which needs its code; an orderly end deletes what is not needed.
    functions._prune_orphan_code_blobs = lambda _referenced: None  # noqa: SLF001 # the pinned version's own
    services = import_module("ministack.app")._build_persistence_save_dict()  # noqa: SLF001 # the same
    persistence.save_all(services)
    for file in part.iterdir():
        file.replace(state / file.name)


def note_saved(state: Path, moment: float) -> None:
    """Write the *moment* of the saved state, atomically."""
    part = state.with_name("saved.part")
    part.write_text(repr(moment))
    part.replace(state.with_name("saved"))


async def serve(address: str) -> None:
    """Serve until SIGTERM; then save the state and return."""
    config = import_module("hypercorn.config").Config()
    config.bind = [address]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    stop_requested = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop, stop_requested)
    saver = Saver(Path(os.environ["STATE_DIR"]))
    saving = asyncio.create_task(saver.run(stop_requested))
    app = saver.counting(watched(import_module("ministack.app").app))
    await import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=stop_requested.wait)
    await saving
    saver.end()


def stop(stop_requested: asyncio.Event) -> None:
    """Send SIGTERM to the whole process group, this process included.

    Invocations are cut off first. Otherwise the server would wait for the long polls of callers that are ending too.
    """
    if not stop_requested.is_set():
        stop_requested.set()
        os.killpg(0, signal.SIGTERM)


def watched(app: Any) -> Any:
    """Return *app*, in a lab with an answer about running work and waiting messages."""
    return runpy.run_path(str(WATCH))["answering"](app) if "FAKETIME_TIMESTAMP_FILE" in os.environ else app


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


def main(environment: str, host: str, port: str) -> None:
    """Serve until SIGTERM, then kill the rest of the process group."""
    # First in the path, so that the emulator runs with its pinned versions.
    sys.path.insert(0, sysconfig.get_path("purelib", vars={"base": environment}))
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
