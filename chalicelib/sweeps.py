"""What runs every minute: each slice's sweep in turn. One that fails leaves the others theirs, and is tried again."""

from typing import Any

from chalicelib.approvals import worker as approvals
from chalicelib.core.runtime import logs
from chalicelib.users import revocation

_SWEEPS = {"approvals": approvals.sweep, "dismissals": revocation.sweep}


def run(event: Any) -> None:
    """Run every sweep once. Never raises: what is left over is still there in a minute."""
    with logs.invocation("sweep") as line:
        line.add(requestId=event.event_id)
        for name, sweep in _SWEEPS.items():
            try:
                line.add(**{name: sweep()})
            except Exception as error:  # noqa: BLE001 # the outermost edge of a schedule
                line.count("sweepsFailed")
                logs.failed(f"{name}_sweep_failed", error)
