"""A process of its own that has a lock: ``python -m tests.support.lock_holder NAME TTL_MS WAIT_MS``.

Once it has the lock it prints one line of JSON, and then holds it until it is killed. What it needs to know of the
stack is in its environment, as it is in a function's.
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
    """A lock that a process says it has, and when it had it, in seconds since 1970."""

    owner: str
    fencing_token: int
    at: float


class LockHolder:
    """Such a process; ``with Holder(...)`` ends it."""

    def __init__(self, environment: Mapping[str, str], name: str, *, ttl_ms: int, wait_ms: int = 0) -> None:
        command = [sys.executable, "-m", "tests.support.lock_holder", name, str(ttl_ms), str(wait_ms)]
        self._process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def has(self) -> HeldLock:
        """Return as soon as it has the lock; fail if it ended without."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process ended without the lock"
        return HeldLock(*json.loads(line))

    def kill(self) -> float:
        """End it as a crash would; return when, in seconds since 1970."""
        at = time.time()
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        return at


def main(name: str, ttl_ms: str, wait_ms: str) -> None:
    """Have the lock, say so, hold it."""
    lease = coordination_wiring.locks().acquire(name, int(ttl_ms), int(wait_ms))
    print(json.dumps(HeldLock(lease.owner, lease.fencing_token, time.time())), flush=True)  # noqa: T201 # this is the answer
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
