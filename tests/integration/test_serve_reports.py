"""scripts/serve reports on standard error when callers get answers, and its end."""

from pathlib import Path

import pytest
import requests

from infra.local.stack import Stack
from tests.support.server import ServeProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def reports(served: ServeProcess) -> list[str]:
    """Return the lines that are no log records."""
    return [line for line in served.log.read_text().splitlines() if not line.startswith("{")]


def test_server_reports_start_answer_stop_and_end_in_order(stack: Stack, tmp_path: Path) -> None:
    with ServeProcess(stack, tmp_path, processes=1) as served:
        begun = f"Starting 1 process for {stack.stage} at {served.url}."
        answers = f"{stack.stage} answers at {served.url}. Ctrl-C stops the server."
        eventually(lambda: reports(served) == [begun, answers])
        assert requests.get(f"{served.url}/health", timeout=5).ok
        assert served.interrupt() == 0
        stopping = "Stopping. Requests in progress may take up to 30 s."
        assert reports(served) == [begun, answers, stopping, "Stopped."]


def test_server_answers_once_it_has_said_so(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = ServeProcess(stack, tmp_path, processes=1)
    # Only the report says that the server is ready.
    monkeypatch.setattr(served, "ready", lambda: any("answers at" in line for line in reports(served)))
    with served:
        assert requests.get(f"{served.url}/health", timeout=5).ok
