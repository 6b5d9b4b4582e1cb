"""`chalice local`, by which docs/operations.md offers breakpoints: the API from one process beside a running stack."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from infra.environment import LAPTOP, ROOT
from infra.host import ports
from infra.local.stack import Stack
from tests.support.client import Client, json_of, problem_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

CHALICE = LAPTOP.python(ROOT).with_name("chalice")
#: As docs/operations.md prints the command.
COMMAND = ".venv/bin/chalice local --port 8100 --no-autoreload"


@pytest.fixture(scope="module")
def url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the process, which has the environment that ``scripts/up --env`` prints."""
    port, log = ports.free(), tmp_path_factory.mktemp("chalice") / "log"
    words = COMMAND.replace("8100", str(port)).split()
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [CHALICE, *words[1:]],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **stack.environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            eventually(lambda: process.poll() is not None or ports.listening(port))
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def caller(admin: Client, url: str) -> Client:
    """The administrator, with a session that the gateway opened."""
    return admin.at(url)


def test_the_command_stands_in_the_docs() -> None:
    assert COMMAND in Path(ROOT / "docs/operations.md").read_text()


def test_a_read_without_a_body_is_answered(url: str) -> None:
    assert json_of(requests.get(f"{url}/health", timeout=30))["status"] == "ok"
    assert requests.get(f"{url}/ready", timeout=30).status_code == 200


def test_reads_and_writes_reach_the_stores_of_the_stack(caller: Client, admin: Client, url: str) -> None:
    made = json_of(
        caller.post("/api/users", {"username": "local-1", "password": "correct horse", "roles": ["user"]}), 201
    )
    assert json_of(admin.get("/api/users/local-1")) == made
    signed_in = Client(url).signed_in("local-1", "correct horse")
    problem_of(signed_in.get("/api/users?limit=1"), 403)
    problem_of(caller.get("/api/users?limit=1&limit=2"), 422)
    assert caller.delete("/api/users/local-1").status_code == 204


def test_a_question_waits_as_at_the_gateway(caller: Client) -> None:
    question = {"username": "admin", "timeoutMs": 4000}
    assert json_of(caller.post("/send-notification", question))["status"] == "timeout"


def test_a_trailing_slash_is_404_as_at_the_gateway(caller: Client) -> None:
    problem_of(caller.get("/health/"), 404)
    problem_of(caller.post("/api/users/", {}), 404)


def test_an_unknown_method_is_405_and_a_large_body_413(caller: Client) -> None:
    problem_of(caller.call("PUT", "/health"), 405)
    problem_of(caller.post("/api/users", {"username": "a" * 1_100_000}), 413)
