"""Asks the AWS endpoint for running work and waiting messages."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from infra.local.lab.watch import WORK
from infra.operations.failures import CommandFailed

#: Messages visible so soon count as work.
_SOON_SECONDS = 1.5
#: The longest that a journey waits for the stack to rest. A caller that waits for an answer holds a function for 25 s.
REST_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
#: Between receiving a message and counting its batch the endpoint shows no work, for less than a pause.
_READS = 2


class Busy(CommandFailed):
    """Work is running; the text names it."""


class Work(NamedTuple):
    """The work of the endpoint at one moment."""

    #: The endpoint's own time.
    now: datetime
    #: What is running, in words; empty if nothing runs.
    running: tuple[str, ...]
    #: How often each function was invoked so far.
    invocations: dict[str, int]
    #: When the next message of each queue becomes visible, for messages that are hidden now.
    hidden: dict[str, datetime]


class Endpoint:
    """The endpoint at *url*; *prefix* is the beginning of the names of queues and functions."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self._prefix = url, prefix

    def work(self, soon_seconds: float = _SOON_SECONDS) -> Work:
        """Return the work. A message that becomes visible within *soon_seconds* counts as running work."""
        with urllib.request.urlopen(self._url + WORK, timeout=30) as answer:  # noqa: S310 # the stack's own endpoint
            found = json.load(answer)
        running = [
            f"function {name} ({number})" for name, number in Counter(map(self._short, found["running"])).items()
        ]
        if found["batches"] and not running:
            running.append(f"{found['batches']} batches")
        if found["unread"]:
            running.append(f"{found['unread']} records of streams")
        hidden: dict[str, datetime] = {}
        for queue, times in found["messages"].items():
            near = sum(1 for visible in times if visible <= found["now"] + soon_seconds)
            if near:
                running.append(f"queue {self._short(queue)} ({near})")
            if len(times) > near:
                first = min(visible for visible in times if visible > found["now"] + soon_seconds)
                hidden[self._short(queue)] = datetime.fromtimestamp(first, UTC)
        invocations = {self._short(name): number for name, number in found["invocations"].items()}
        return Work(datetime.fromtimestamp(found["now"], UTC), tuple(running), invocations, hidden)

    def rest(self, deadline_seconds: float = REST_SECONDS) -> Work:
        """Return when nothing runs, no message waits and every record of a stream was read.

        Raises:
            Busy: work is running after the deadline.
        """
        deadline, idle = time.monotonic() + deadline_seconds, 0
        while True:
            work = self.work()
            idle = 0 if work.running else idle + 1
            if idle == _READS:
                return work
            if time.monotonic() > deadline:
                raise Busy(f"Still at work after {deadline_seconds:.0f} s: {', '.join(work.running)}. Try again later.")
            time.sleep(_PAUSE_SECONDS)

    def check_idle(self) -> None:
        """Return if nothing runs and no message waits.

        Raises:
            Busy: work is running.
        """
        if running := self.work().running:
            raise Busy(f"Work is running: {', '.join(running)}. Try again when it is done, or leave --blind out.")

    def _short(self, name: str) -> str:
        return name.removeprefix(self._prefix)
