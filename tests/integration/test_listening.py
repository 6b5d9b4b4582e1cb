"""`scripts/webhooks listen --make` at the deployed stack: events are shown as verified, and no webhook remains."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.support.client import Client, json_of
from tests.support.program import Program
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

APPLICATION = {
    "applicantName": "Ann Lee",
    "email": "ann@example.org",
    "amountMinor": 1_000_00,
    "currency": "EUR",
    "termMonths": 12,
}
LISTEN = ("listen", "--make")
MADE = re.compile(r"The webhook (\S+) sends every event")


@contextmanager
def listening(
    stack: Stack, folder: Path, *options: str, command: Sequence[str] = LISTEN, password: str | None = None
) -> Iterator[Program]:
    """Run *command* of scripts/webhooks on *stack* and a free port during the block."""
    running_stack.write(folder, Run(Identity.of(os.getpid()), stack.url, stack.environment))
    line = [sys.executable, "-m", "infra.run", "webhooks", *command, "--port", "0", "--data", str(folder), *options]
    environment = {"PATH": os.environ["PATH"], "HOLDFAST_ADMIN_PASSWORD": password or stack.admin_password or ""}
    with Program(line, environment) as program:
        yield program


def test_first_webhook_of_the_page_is_shown_as_printed(stack: Stack, admin: Client, tmp_path: Path) -> None:
    page = (ROOT / "docs/webhooks.md").read_text()
    section = re.search(
        r"\n## The first webhook in a minute\n.*?```bash\n(.*?)```.*?```bash\n(.*?)```.*?```text\n(.*?)```",
        page,
        re.DOTALL,
    )
    assert section
    listen, create, printed = section.groups()
    variables, _, command = listen.rpartition("\nscripts/webhooks ")
    assert variables.startswith("export HOLDFAST_ADMIN_PASSWORD=... ")
    with listening(stack, tmp_path, command=command.split()) as program:
        program.wait_for("Listening on")
        script = create.replace("http://localhost:8000", stack.url)
        subprocess.run(
            ["bash", "-euc", script],
            env={"PATH": os.environ["PATH"], "AUTH": f"Authorization: Bearer {admin.token}"},
            timeout=60,
            check=True,
        )
        program.wait_for("application.created")
        program.send(signal.SIGINT)
        program.wait()
    shown = next(line for line in program.output.splitlines() if "application.created" in line)
    assert _generic(shown) == _generic(printed.strip())


def _generic(line: str) -> str:
    """Return *line* without its time, its id and its number: an event of another test may come before."""
    return re.sub(r"dlv_[0-9a-f]{40}(  sequence )\d+", r"ID\1N", re.sub(r"^\S{23}Z", "TIME", line))


def webhooks(admin: Client) -> list[str]:
    return [webhook["webhookId"] for webhook in json_of(admin.get("/api/webhooks"))["items"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listener_shows_verified_events_and_leaves_no_webhook(
    stack: Stack, admin: Client, tmp_path: Path, number: signal.Signals
) -> None:
    application_id = f"loan-{secrets.token_hex(6)}"
    with listening(stack, tmp_path, "--full") as program:
        program.wait_for("Listening on http://127.0.0.1:")
        (webhook_id,) = MADE.findall(program.output)
        assert webhook_id in webhooks(admin)
        json_of(admin.post("/api/applications", APPLICATION | {"applicationId": application_id}), 201)
        program.wait_for(f'"applicationId":"{application_id}"')
        program.send(number)
        assert program.wait() == 0
    shown = re.compile(r"^\S+Z  application\.created  dlv_\w+  sequence \d+  verified  answered 204$", re.MULTILINE)
    assert shown.search(program.output), program.output
    assert program.output.endswith(f"The webhook {webhook_id} is deleted.\n")
    assert webhook_id not in webhooks(admin)


def test_failing_listener_shows_the_repeat_of_a_delivery(stack: Stack, admin: Client, tmp_path: Path) -> None:
    with listening(stack, tmp_path, "--answer", "429", "--retry-after", "1") as program:
        program.wait_for("Listening on")
        json_of(admin.post("/api/applications", APPLICATION), 201)
        program.wait_for("call 2  verified  answered 429, Retry-After 1 s")
        program.send(signal.SIGINT)
        program.wait()
    first, *_, last = (line.split("  ") for line in program.output.splitlines() if "verified" in line)
    assert first[1:4] == last[1:4]


def test_listener_with_a_wrong_password_makes_no_webhook(stack: Stack, admin: Client, tmp_path: Path) -> None:
    before = webhooks(admin)
    with listening(stack, tmp_path, password="wrong horse battery") as program:
        assert program.wait() == 1
    assert "refuses the password. scripts/up printed the password of admin" in program.output
    assert "Traceback" not in program.output
    assert webhooks(admin) == before


def test_listener_names_the_webhook_that_it_cannot_delete(
    stack: Stack, admin: Client, person: NewPerson, tmp_path: Path
) -> None:
    owner = person("admin")
    with listening(stack, tmp_path, "--username", owner.username, password=owner.password) as program:
        program.wait_for("Listening on")
        (webhook_id,) = MADE.findall(program.output)
        assert admin.delete(f"/api/users/{owner.username}").status_code == 204
        program.send(signal.SIGINT)
        assert program.wait() == 1
    assert f"The webhook {webhook_id} remains: delete it with DELETE /api/webhooks/{webhook_id}." in program.output
    assert admin.delete(f"/api/webhooks/{webhook_id}").status_code == 204
