"""The cost of working on a message once: no-op messages through `run_batch` beside a bare handler.

Equal queues in the same run, each with a function of its own on the same deployed stack; first a backlog, then single
messages to an idle function. A message's time lasts from its arrival at SQS to the end of its batch.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from infra.local.stack import Stack
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.extra_worker import ExtraWorker, deployed

#: The handler and the queue's declaration of each way.
_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "bare handler": ("bare", {}),
    "finish=each": ("timed", {"finish": "each"}),
    "finish=batch": ("timed", {"finish": "batch"}),
}
_BATCH = 10
_SENDERS = 4
#: For all phases of a way.
_DEADLINE_SECONDS = 100


class Cost(NamedTuple):
    """The figures of a way."""

    per_second: float
    backlog_ms: list[float]
    single_ms: list[float]
    trips: float


def run(*, smoke: bool) -> None:
    """Measure throughput, delay and round trips."""
    backlog, singles = (100, 10) if smoke else (1_000, 200)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        measured = {name: _measure(stack, name, backlog, singles) for name in _WAYS}
    bare = measured["bare handler"]
    rows = [_row(name, cost, bare) for name, cost in measured.items()]
    show(f"a backlog of {backlog} messages, 4 functions, batches of 10", _BACKLOG, [row[0] for row in rows])
    show(f"{singles} single messages, 20 a second", _SINGLE, [row[1] for row in rows])


_BACKLOG = ("way", "messages/s", "ratio", "p50 ms", "p99 ms", "store round trips/message")
_SINGLE = ("way", "p50 ms", "p99 ms", "p50 ratio", "p50 more ms")


def _row(name: str, cost: Cost, bare: Cost) -> tuple[list[str], list[str]]:
    p50, p99 = percentile(cost.backlog_ms, 50), percentile(cost.backlog_ms, 99)
    backlog = [name, f"{cost.per_second:.0f}", f"{cost.per_second / bare.per_second:.2f}", f"{p50:.0f}", f"{p99:.0f}"]
    one, most, base = percentile(cost.single_ms, 50), percentile(cost.single_ms, 99), percentile(bare.single_ms, 50)
    single = [name, f"{one:.1f}", f"{most:.1f}", f"{one / base:.2f}", f"{one - base:.1f}"]
    return [*backlog, f"{cost.trips:.1f}"], single


def _measure(stack: Stack, name: str, backlog: int, singles: int) -> Cost:
    CONSOLE.log(f"{name}: {backlog} at once, then {singles} one by one")
    handler, declared = _WAYS[name]
    with deployed(stack, handler, visibility_seconds=60, timeout_seconds=50, **declared) as extra:
        seen = BatchLog(extra)
        # A warm-up, so that no cold start is in the figures.
        _send_all(extra, "warm", 40)
        seen.next(40)
        _send_all(extra, "backlog", backlog)
        batches = seen.next(backlog)
        took = (max(batch["doneMs"] for batch in batches) - min(min(batch["sentMs"]) for batch in batches)) / 1000
        _send_paced(extra, singles)
        alone = seen.next(singles)
    return Cost(backlog / took, _delays(batches), _delays(alone), sum(batch["trips"] for batch in batches) / backlog)


class BatchLog:
    """The function's batches, phase by phase, until the way's deadline."""

    def __init__(self, extra: ExtraWorker) -> None:
        self._worker, self._read = extra, 0
        self._ends = time.monotonic() + _DEADLINE_SECONDS

    def next(self, messages: int) -> list[dict[str, Any]]:
        """Wait until the next *messages* messages are done, and return their batches.

        Raises:
            AssertionError: the deadline is over; the text says how many messages are missing.
        """
        while True:
            found = self._worker.batches()[self._read :]
            done = sum(len(batch["sentMs"]) for batch in found)
            if done >= messages:
                self._read += len(found)
                return found
            if time.monotonic() > self._ends:
                depth = self._worker.sender.depth(self._worker.queue)
                raise AssertionError(f"{self._worker.function}: {done} of {messages} messages are done; {depth}")
            # A short pause: the reader shares the machine with the measured functions.
            time.sleep(0.2)


def _delays(batches: list[dict[str, Any]]) -> list[float]:
    return [batch["doneMs"] - sent for batch in batches for sent in batch["sentMs"]]


def _send_all(extra: ExtraWorker, name: str, count: int) -> None:
    def send(start: int) -> None:
        entries = [
            {"Id": str(number), "MessageBody": f'{{"schema":1,"causedBy":"bench","jobId":"{name}-{start + number}"}}'}
            for number in range(min(_BATCH, count - start))
        ]
        extra.sqs.send_message_batch(QueueUrl=extra.prefix + extra.queue.name, Entries=entries)

    _in_parallel(send, range(0, count, _BATCH))


def _in_parallel(send: Callable[[int], None], starts: range) -> None:
    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(send, starts))


def _send_paced(extra: ExtraWorker, count: int) -> None:
    began = time.monotonic()
    for number in range(count):
        # The pace of the senders, not a wait for luck.
        time.sleep(max(0, began + number / 20 - time.monotonic()))
        extra.send(f"single-{number}")
