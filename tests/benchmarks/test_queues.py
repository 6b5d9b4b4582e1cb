"""The queue benchmark reads its batches from the functions' file, and says which messages are missing."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.benchmarks import queues
from tests.benchmarks.queues import BatchLog
from tests.support.extra_worker import ExtraWorker


class Worker:
    """A function that has ended some batches."""

    function = "holdfast-bench"
    queue = None
    sender = SimpleNamespace(depth=lambda _queue: "pending=3")

    def __init__(self, *sizes: int) -> None:
        self.ended: list[dict[str, Any]] = [{"doneMs": 2.0, "sentMs": [1] * size, "trips": 0} for size in sizes]

    def batches(self) -> list[dict[str, Any]]:
        return self.ended


def log_of(worker: Worker) -> BatchLog:
    return BatchLog(cast("ExtraWorker", worker))


def test_each_phase_gets_the_batches_after_the_former_phase() -> None:
    worker = Worker(10, 2)
    log = log_of(worker)
    assert [len(batch["sentMs"]) for batch in log.next(12)] == [10, 2]
    worker.ended.extend(Worker(1).ended)
    assert [len(batch["sentMs"]) for batch in log.next(1)] == [1]


def test_missing_messages_are_named_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_DEADLINE_SECONDS", 0)
    with pytest.raises(AssertionError, match=r"^holdfast-bench: 7 of 10 messages are done; pending=3$"):
        log_of(Worker(4, 3)).next(10)


def test_batches_are_read_from_the_file_of_the_functions(tmp_path: Any) -> None:
    extra = object.__new__(ExtraWorker)
    extra._batches = tmp_path / "batches"
    assert extra.batches() == []
    lines = [{"doneMs": 1.0, "sentMs": [1]}, {"doneMs": 2.0, "sentMs": [1, 2]}]
    extra._batches.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert extra.batches() == lines
