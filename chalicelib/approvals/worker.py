"""The sweep: what nobody answered in time is recorded as timed out, whoever was waiting for it."""

from chalicelib import logs, wiring


def sweep() -> int:
    """Record every overdue request as timed out; returns how many. Running twice is harmless: each is recorded once."""
    timed_out = wiring.approvals().expire_all()
    logs.line().count("approvalsTimedOut", timed_out)
    return timed_out
