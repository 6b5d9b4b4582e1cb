"""What operators' commands share: which stack, how far, and what becomes of what stores say."""

import argparse
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from chalicelib.core.errors import Unavailable
from infra.host.processes import Identity
from infra.local.cli.data_folder import Folder, Run
from infra.operations import console
from infra.operations.console import Gauge, Target

HERE = {
    "HOLDFAST_STAGE": "local",
    "MONGODB_URI": "mongodb://here",
    "AWS_ENDPOINT_URL": "http://here",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An environment of its own: what a command sets must not reach other tests."""
    made = {"PATH": os.environ["PATH"]}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", made)
        yield made


def asked(folder: Path, stage: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(stage=stage, data=folder)


def deployed(stage: str = "prod", **more: str) -> Target:
    """A stage whose functions have these variables."""

    def described(FunctionName: str) -> dict[str, Any]:  # noqa: N803 # as botocore has it
        assert FunctionName == f"holdfast-{stage}-api"
        return {"Environment": {"Variables": {"HOLDFAST_STAGE": stage, "MONGODB_DATABASE": "theirs", **more}}}

    return Target(stage, "AWS", lambda _: SimpleNamespace(get_function_configuration=described), {})


def test_without_a_stage_it_is_the_stack_that_runs_here(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(console.NoTarget, match="scripts/up"):
        console.target_of(asked(tmp_path), environ)
    Folder(tmp_path).write(Run(Identity.of(os.getpid()), "http://url", HERE))
    target = console.target_of(asked(tmp_path), environ)
    assert (target.stage, target.where) == ("local", "http://url")
    console.act_as(target, AWS_CLIENT_MAX_CONNECTIONS="7")
    assert environ.items() >= HERE.items()
    assert environ["AWS_CLIENT_MAX_CONNECTIONS"] == "7"


def test_a_stack_that_runs_here_is_not_mixed_with_what_the_shell_names(tmp_path: Path, environ: dict[str, str]) -> None:
    environ["MONGODB_URI"] = "mongodb://elsewhere"
    Folder(tmp_path).write(Run(Identity.of(os.getpid()), "http://url", HERE))
    console.act_as(console.target_of(asked(tmp_path), environ))
    assert environ["MONGODB_URI"] == "mongodb://here"


def test_a_deployed_stage_is_acted_for_as_its_functions_do(environ: dict[str, str]) -> None:
    environ["HOLDFAST_STAGE"] = "dev"
    console.act_as(deployed())
    assert (environ["HOLDFAST_STAGE"], environ["MONGODB_DATABASE"]) == ("prod", "theirs")
    assert "MONGODB_URI" not in environ


def test_an_operator_may_reach_a_stages_database_by_another_name(environ: dict[str, str]) -> None:
    environ["MONGODB_URI"] = "mongodb://tunnel"
    console.act_as(deployed(MONGODB_URI="mongodb://inside"))
    assert environ["MONGODB_URI"] == "mongodb://tunnel"


def test_a_store_is_waited_for_a_while(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []
    faults = [Unavailable("Gone.")] * 3

    def call() -> str:
        if faults:
            raise faults.pop()
        return "done"

    assert console.patiently(call, pauses.append) == "done"
    assert pauses == [0.5, 1, 2]
    assert "Gone. Trying again in 2 s." in capsys.readouterr().err
    faults = [Unavailable("Gone.")] * 100
    with pytest.raises(Unavailable):
        console.patiently(call, pauses.append)
    assert 60 <= sum(pauses[3:]) <= 120


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (console.NoTarget("Nothing runs."), "Nothing runs."),
        (ClientError({"Error": {"Code": "No", "Message": "not allowed"}}, "Scan"), "look: not allowed"),
        (Unavailable("Gone."), "look: Gone."),
    ],
)
def test_a_command_ends_with_a_sentence(error: Exception, said: str) -> None:
    with pytest.raises(SystemExit, match=said), console.reporting("look"):
        raise error


def test_nothing_is_shown_of_what_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, force_terminal=True, width=120))
    with gauge.shown():
        gauge.begin("counting", 10)(10)
    assert not screen.getvalue()


def test_a_terminal_sees_count_percent_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_SHOWN_AFTER_SECONDS", 0.01)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, force_terminal=True, width=120))
    with gauge.shown():
        advance = gauge.begin("counting", 2_000, 500)
        advance(500)
        deadline = time.monotonic() + 30
        while "1,000 of 2,000 (50 %)" not in screen.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert "per second" in screen.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LINE_EVERY_SECONDS", -1)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, width=120))
    with gauge.shown():
        gauge.begin("counting", 2_000, 500)(500)
        # A size may be out of date
        gauge.begin("more", 10)(30)
    first, second = screen.getvalue().splitlines()
    assert first.startswith("counting: 1,000 of 2,000 (50 %), ")
    assert second.startswith("more: 30 of 30 (100 %), ")
    monkeypatch.setattr(console, "_LINE_EVERY_SECONDS", 10)
    gauge.begin("again", 10)(5)
    assert len(screen.getvalue().splitlines()) == 2


def test_a_rate_is_of_what_was_done_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LINE_EVERY_SECONDS", -1)
    screen = io.StringIO()
    gauge = Gauge(Console(file=screen, width=200))
    gauge.begin("counting", 2 * 10**12, 10**12)(1)
    words = screen.getvalue().split(" %), ")[1]
    rate = int(words.removesuffix(" per second\n").replace(",", ""))
    assert rate < 10**9
