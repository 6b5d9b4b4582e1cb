"""The stack that a command works on, and its patience with a store that is down."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from infra.host.processes import Identity
from infra.operations import running_stack, target
from infra.operations.running_stack import Run
from infra.operations.target import Target

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
    """Replace the environment, so that a command's variables do not reach other tests."""
    made = {"PATH": os.environ["PATH"]}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", made)
        yield made


def arguments(folder: Path, stage: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(stage=stage, data=folder)


def deployed(stage: str = "prod", **more: str) -> Target:
    """Return a deployed stage whose functions have the variables *more*."""

    def described(FunctionName: str) -> dict[str, Any]:  # noqa: N803 # as botocore has it
        assert FunctionName == f"holdfast-{stage}-api"
        return {"Environment": {"Variables": {"HOLDFAST_STAGE": stage, "MONGODB_DATABASE": "theirs", **more}}}

    return Target(stage, "AWS", lambda _: SimpleNamespace(get_function_configuration=described), {})


def test_target_without_a_stage_is_the_stack_that_runs_here(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(target.NoTarget, match="scripts/up"):
        target.target_of(arguments(tmp_path), environ)
    running_stack.write(tmp_path, Run(Identity.of(os.getpid()), "http://url", HERE))
    found = target.target_of(arguments(tmp_path), environ)
    assert (found.stage, found.where) == ("local", "http://url")
    target.act_as(found, AWS_CLIENT_MAX_CONNECTIONS="7")
    assert environ.items() >= HERE.items()
    assert environ["AWS_CLIENT_MAX_CONNECTIONS"] == "7"


def test_local_stack_overrides_stores_named_by_the_shell(tmp_path: Path, environ: dict[str, str]) -> None:
    environ["MONGODB_URI"] = "mongodb://elsewhere"
    running_stack.write(tmp_path, Run(Identity.of(os.getpid()), "http://url", HERE))
    target.act_as(target.target_of(arguments(tmp_path), environ))
    assert environ["MONGODB_URI"] == "mongodb://here"


def test_deployed_stage_supplies_the_environment_of_its_functions(environ: dict[str, str]) -> None:
    environ["HOLDFAST_STAGE"] = "dev"
    target.act_as(deployed())
    assert (environ["HOLDFAST_STAGE"], environ["MONGODB_DATABASE"]) == ("prod", "theirs")
    assert "MONGODB_URI" not in environ


def test_mongodb_uri_of_the_operator_overrides_the_functions_own(environ: dict[str, str]) -> None:
    environ["MONGODB_URI"] = "mongodb://tunnel"
    target.act_as(deployed(MONGODB_URI="mongodb://inside"))
    assert environ["MONGODB_URI"] == "mongodb://tunnel"


def test_patient_call_retries_an_unavailable_store_for_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    faults = [Unavailable("Gone.")] * 3

    def call() -> str:
        if faults:
            raise faults.pop()
        return "done"

    assert target.patiently(call, pauses.append) == "done"
    assert pauses == [0.5, 1, 2]
    assert "Gone. Trying again in 2 s." in capsys.readouterr().err
    faults = [Unavailable("Gone.")] * 100
    with pytest.raises(Unavailable):
        target.patiently(call, pauses.append)
    assert 60 <= sum(pauses[3:]) <= 120
