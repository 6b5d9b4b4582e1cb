"""`scripts/verify` at the deployed stack: what it uses, what it leaves behind, and what it says of a fault."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.environment import ROOT
from infra.host import ports
from infra.host.processes import Identity
from infra.local.cli.terminal import Terminal
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.account import VARIABLE, Account
from infra.operations.failures import CommandFailed
from infra.operations.running_stack import Run
from infra.operations.verification import __main__ as command
from infra.operations.verification import steps
from tests.support.approvals import APPROVALS
from tests.support.client import Client, json_of, problem_of
from tests.support.records import paused
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

STEPS = ["ready", "sign in", "question", "answer", "application", "change", "approval", "history", "ledger", "removal"]
APPLICATIONS = "/api/applications"


@pytest.fixture
def data(stack: Stack, tmp_path: Path) -> Path:
    """The data folder with the note of the running stack."""
    running_stack.write(tmp_path, Run(Identity.of(os.getpid()), stack.url, stack.environment))
    return tmp_path


def verify(password: str | None, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run ``scripts/verify`` with no variables of the shell but the *password*."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
    return subprocess.run(
        [sys.executable, "-m", "infra.run", "verify", *options],
        cwd=ROOT,
        env=environment | ({VARIABLE: password} if password else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def ticked(output: str) -> list[str]:
    """Return the steps with a tick and a time."""
    found = [line.split("✓")[1].rsplit(maxsplit=2) for line in output.splitlines() if "✓" in line]
    assert all(unit == "s" and float(seconds) >= 0 for _, seconds, unit in found)
    return [name.strip() for name, *_ in found]


def left(admin: Client) -> dict[str, list[str]]:
    """Return what verifications have left behind: applications, pending questions."""
    applications = json_of(admin.get(f"{APPLICATIONS}?q=verify&limit=200"))["items"]
    questions = json_of(admin.get(f"{APPROVALS}?status=pending&limit=200"))["items"]
    return {
        "applications": [one["applicationId"] for one in applications if one["applicantName"] == steps.NAME],
        "questions": [one["requestId"] for one in questions if one["title"] == steps.NAME],
    }


NOTHING: dict[str, list[str]] = {"applications": [], "questions": []}


def sessions(admin: Client, username: str) -> int:
    return len(json_of(admin.get(f"/api/sessions?username={username}&limit=200"))["items"])


# --- a stage that works


def test_every_step_succeeds_and_nothing_remains(stack: Stack, admin: Client, data: Path) -> None:
    entries, before = json_of(admin.get("/api/ledger/verify"))["entries"], sessions(admin, "admin")
    done = verify(stack.admin_password, "--data", str(data))
    assert (done.returncode, done.stderr) == (0, "")
    assert ticked(done.stdout) == STEPS
    assert f"verifying {stack.url} as admin" in done.stdout
    eventually(lambda: left(admin) == NOTHING)
    assert sessions(admin, "admin") == before
    # And no money has moved
    assert json_of(admin.get("/api/ledger/verify"))["entries"] == entries
    assert str(stack.admin_password) not in done.stdout


def test_address_of_a_stage_is_that_of_its_stack(stack: Stack) -> None:
    keys = {name: value for name, value in stack.environment.items() if name.startswith("AWS_")}
    done = verify(stack.admin_password, "--stage", STAGE, **keys)
    assert (done.returncode, ticked(done.stdout)) == (0, STEPS), done.stderr
    assert f"verifying {stack.api_url} as admin" in done.stdout
    missing = verify(stack.admin_password, "--stage", "nothing", **keys)
    assert missing.returncode == 1
    assert "Stage nothing is not deployed" in missing.stderr


# --- faults


def test_wrong_password_is_a_sentence_and_is_not_shown(stack: Stack) -> None:
    wrong = f"wrong {secrets.token_hex(4)}"
    done = verify(wrong, "--url", stack.url)
    assert (done.returncode, ticked(done.stdout)) == (1, ["ready"])
    assert done.stderr.startswith(f"sign in: The API at {stack.url} refuses the password of admin.")
    assert wrong not in done.stdout + done.stderr


def test_missing_password_is_a_sentence(stack: Stack) -> None:
    done = verify(None, "--url", stack.url)
    assert (done.returncode, done.stderr) == (
        1,
        f"No password of admin is given. Set {VARIABLE}, or type the password on a terminal.\n",
    )


def test_unreachable_address_is_a_sentence() -> None:
    url = f"http://127.0.0.1:{ports.free()}"
    done = verify("any password", "--url", url)
    assert (done.returncode, ticked(done.stdout)) == (1, [])
    assert done.stderr == (
        f"ready: The API at {url} does not answer GET /ready: no connection was made, or it was closed early.\n"
    )


def test_address_of_another_server_is_a_sentence(stack: Stack) -> None:
    done = verify("any password", "--url", f"{stack.receiver_url}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"ready: The API at {stack.receiver_url} answers 405 to GET /ready")


@pytest.fixture
def mongod_down(stack: Stack) -> Iterator[None]:
    """MongoDB takes connections and answers none, while the test runs."""
    os.kill(stack.mongod.pid, signal.SIGSTOP)
    yield
    os.kill(stack.mongod.pid, signal.SIGCONT)
    eventually(lambda: Client(stack.url).get("/ready").status_code == 200, 120)


def test_stage_whose_database_is_down_names_the_store(stack: Stack, mongod_down: None) -> None:
    done = verify(stack.admin_password, "--url", stack.url)
    assert (done.returncode, ticked(done.stdout)) == (1, [])
    assert f"ready: The functions of {stack.url} do not reach mongodb." in done.stderr


def test_officer_cannot_verify_and_the_session_ends(stack: Stack, admin: Client, person: NewPerson) -> None:
    officer = person("officer")
    before = sessions(admin, officer.username)
    done = verify(officer.password, "--url", stack.url, "--username", officer.username)
    assert (done.returncode, ticked(done.stdout)) == (1, ["ready", "removal"])
    assert f"sign in: {officer.username} is no administrator." in done.stderr
    assert sessions(admin, officer.username) == before


class Between(Terminal):
    """A terminal that does something after a step."""

    def __init__(self, step: str, act: Any) -> None:
        super().__init__()
        self._after, self._act, self.steps = step, act, list[str]()

    def step(self, name: str, seconds: float) -> None:
        self.steps.append(name)
        if name == self._after:
            self._act()


def owner(stack: Stack) -> Account:
    return Account(stack.url, "admin", stack.admin_password or "")


def test_fault_in_the_middle_removes_what_was_made(stack: Stack, admin: Client) -> None:
    # Given somebody who changes the application before its first change
    def meddle() -> None:
        (application,) = left(admin)["applications"]
        json_of(admin.call("PUT", f"{APPLICATIONS}/{application}", {"version": 1, "termMonths": 6}))

    terminal = Between("application", meddle)
    with pytest.raises(CommandFailed, match=r"^change: The API at .* answers 409 to PUT .*\(request \S+\)"):
        command.run(owner(stack), terminal)
    assert terminal.steps == [*STEPS[:5], "removal"]
    eventually(lambda: left(admin) == NOTHING)


def test_interrupted_verification_removes_what_was_made(stack: Stack, admin: Client) -> None:
    def interrupt() -> None:
        assert len(left(admin)["questions"]) == 1
        raise KeyboardInterrupt

    before = sessions(admin, "admin")
    with pytest.raises(KeyboardInterrupt):
        command.run(owner(stack), Between("question", interrupt))
    eventually(lambda: left(admin) == NOTHING)
    assert sessions(admin, "admin") == before


def test_stream_that_stands_still_is_a_fault(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PROJECTED_SECONDS", 3)
    with paused(stack, "project"), pytest.raises(CommandFailed, match=r"^history: .* Look at the log of the function"):
        command.run(owner(stack), Terminal())


def test_what_cannot_be_removed_is_named(
    stack: Stack, admin: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an administrator whose session ends in the middle
    made: list[str] = []

    def sign_out() -> None:
        made.extend(left(admin)["applications"])
        newest = json_of(admin.get("/api/sessions?username=admin&limit=200"))["items"][0]["sessionId"]
        admin.delete(f"/api/sessions/{newest}")

    with pytest.raises(CommandFailed) as failed:
        command.run(owner(stack), Between("application", sign_out))
    (application,) = made
    assert f"The application {application} remains. The API at {stack.url} answers 401" in str(failed.value)
    assert admin.delete(f"{APPLICATIONS}/{application}?version=1").status_code == 204
    problem_of(admin.get(f"{APPLICATIONS}/{application}"), 404)
