"""Progress on the deployed stack: twenty watchers in four ways, streams in a function of their own."""

import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.client import Client, json_of
from tests.support.server import ServeProcess
from tests.support.stack import NewPerson
from tests.support.watchers import Watcher
from tests.support.workloads.progress import Workload

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(stack, tmp_path_factory.mktemp("served")) as served:
        yield served


def test_twenty_watchers_in_four_ways_see_no_step_back_and_the_last_one(
    stack: Stack, served: ServeProcess, person: NewPerson
) -> None:
    # Given
    workload = Workload(person("service").client.at(served.url), each=5, gateway=stack.url)
    rng = random.Random(7)
    for watcher in workload.watchers:
        assert watcher.began.wait(60), f"{watcher.name} saw nothing: {watcher.error!r}"
    # When
    until = time.monotonic() + 90
    while time.monotonic() < until and not all(_moving(watcher) for watcher in workload.watchers):
        workload.act(rng)
    # Then
    assert {watcher.name for watcher in workload.watchers if not _moving(watcher)} == set()
    workload.check()


def _moving(watcher: Watcher) -> bool:
    """Return whether the watcher has seen several revisions."""
    return len({snapshot["revision"] for _, snapshot in watcher.seen}) > 3


def test_a_stream_runs_in_a_function_of_its_own(stack: Stack, person: NewPerson) -> None:
    client = person("service").client
    json_of(client.call("PUT", "/api/progress/own", {"total": 2}))
    shown, stream = client.get("/activation/progress/own"), client.get("/activation/progress/own/events")
    assert stream.status_code == 200
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert stream.headers["X-Instance-Id"] != shown.headers["X-Instance-Id"]
    refused = Client(stack.url).get("/activation/progress/own/events")
    assert (refused.status_code, "event: end" in refused.text) == (200, True)
    assert client.get("/api/events?topics=progress:own,inbox").text.count("data: ") == 2


def _snippet(language: str) -> str:
    """Return the snippet of docs/progress.md in *language*, as printed."""
    page = (ROOT / "docs/progress.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


def _report(client: Client, session_id: str) -> list[Any]:
    """Report a job to its end; return the snapshots."""
    steps = [{"activated": 1}, {"activated": 2}]
    return [json_of(client.call("PUT", f"/api/progress/{session_id}", fields))["data"] for fields in steps]


def test_the_snippet_in_python_follows_a_job_to_its_end(stack: Stack, person: NewPerson) -> None:
    service, session_id = person("service").client, f"python-{secrets.token_hex(4)}"
    first = json_of(service.call("PUT", f"/api/progress/{session_id}", {"total": 2}))["data"]
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {service.token}"
    given: dict[str, Any] = {"URL": stack.url, "api": api}
    exec(_snippet("python"), given)
    followed = given["follow"](session_id)
    assert next(followed) == first
    second, third = _report(service, session_id)
    seen = list(followed)
    assert seen in ([third], [second, third])
    assert seen[-1]["completed"]


def test_the_snippet_of_a_shell_prints_the_newest_snapshot(stack: Stack, person: NewPerson) -> None:
    service, session_id = person("service").client, f"shell-{secrets.token_hex(4)}"
    json_of(service.call("PUT", f"/api/progress/{session_id}", {"total": 2}))
    last = _report(service, session_id)[-1]
    known = {"HOLDFAST_URL": stack.url, "HOLDFAST_KEY": service.token or "", "JOB": session_id}
    done = subprocess.run(
        ["bash", "-eu", "-c", _snippet("sh")],
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (data,) = [line.removeprefix("data: ") for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert json.loads(data) == last


def test_the_example_reports_its_job_and_its_owner_follows_it(stack: Stack, admin: Client, person: NewPerson) -> None:
    service = person("service")
    key = json_of(admin.post(f"/api/users/{service.username}/keys", {"name": "example"}), 201)["key"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/job.py"), "example", "300"],
        env={"HOLDFAST_URL": stack.url, "HOLDFAST_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    last = json.loads(done.stdout)
    assert (last["activated"], last["percentage"], last["completed"], done.stderr) == (300, 100.0, True, "")
    assert json_of(service.client.get("/activation/progress/example"))["data"] == last
    Watcher("stream", service.client, "example").check(last)
