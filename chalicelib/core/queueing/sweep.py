"""The sweep, every minute: each slice's in turn. A sweep that fails leaves the others theirs, and is tried again."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core.runtime import logs


def run(event: Any, sweeps: Mapping[str, Callable[[], int]]) -> None:
    """Run every sweep once. Never raises: what is left over is still there in a minute."""
    with logs.invocation("sweep") as line:
        line.add(requestId=event.event_id)
        for name, sweep in sweeps.items():
            try:
                line.add(**{name: sweep()})
            except Exception as error:  # noqa: BLE001 # the outermost edge of a schedule
                line.count("sweepsFailed")
                logs.failed(f"{name}_sweep_failed", error)
