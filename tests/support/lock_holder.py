"""A process holding a lock: ``python -m tests.support.lock_holder NAME TTL_MS WAIT_MS``.

The process acquires the lock, prints one line of JSON, and holds the lock until a kill. Its environment names the
stack, like a function's.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple, Self

from chalicelib.core.coordination import wiring as coordination_wiring
from infra.environment import ROOT


class HeldLock(NamedTuple):
    """A lock as reported by its process, with the time of acquisition in seconds since 1970."""

    owner: str
    fencing_token: int
    at: float


class LockHolder:
    """Starts the process; ``with LockHolder(...)`` kills the process at the end."""

    def __init__(self, environment: Mapping[str, str], name: str, *, ttl_ms: int, wait_ms: int = 0) -> None:
        command = [sys.executable, "-m", "tests.support.lock_holder", name, str(ttl_ms), str(wait_ms)]
        self._process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def has(self) -> HeldLock:
        """Wait for the lock; fail if the process ended without the lock."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process ended without the lock"
        return HeldLock(*json.loads(line))

    def kill(self) -> float:
        """Kill the process; return the time in seconds since 1970."""
        at = time.time()
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        return at


def main(name: str, ttl_ms: str, wait_ms: str) -> None:
    """Acquire the lock, print the lease, and hold the lock until killed."""
    lease = coordination_wiring.locks().acquire(name, int(ttl_ms), int(wait_ms))
    print(json.dumps(HeldLock(lease.owner, lease.fencing_token, time.time())), flush=True)  # noqa: T201 # this is the answer
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
