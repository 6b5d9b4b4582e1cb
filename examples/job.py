"""Report the progress of a job that runs elsewhere, and print the last snapshot.

    HOLDFAST_KEY=hfk_... python examples/job.py import-2026-11 250

The key belongs to a user with the role service. Every report says how far the job has come, so that a report which is
lost or repeated does no harm: the next one says more.
"""

import json
import os
import sys
import time
from typing import Any

import requests

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")
api = requests.Session()
api.headers["Authorization"] = f"Bearer {os.environ['HOLDFAST_KEY']}"


def report(session_id: str, **fields: Any) -> Any:
    """Write *fields* of the job, and return its snapshot. A report that fails stops no job."""
    try:
        answer = api.put(f"{URL}/api/progress/{session_id}", json=fields, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]
    except requests.RequestException as error:
        print(f"not reported: {error}", file=sys.stderr)
        return None


def run(session_id: str, total: int) -> None:
    """Do the work in parts, and report four times a second at most."""
    report(session_id, type="import", total=total, msg="Reading rows.")
    reported_at = time.monotonic()
    for done in range(1, total):
        time.sleep(0.002)  # the work
        if time.monotonic() - reported_at > 0.25:
            report(session_id, activated=done)
            reported_at = time.monotonic()
    print(json.dumps(report(session_id, activated=total, msg="All rows are read.")))


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
