"""Progress on the deployed stack: twenty watchers in four ways, streams in a function of their own."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

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
