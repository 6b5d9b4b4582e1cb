"""``scripts/conformance``: what it refuses, the list of known differences, and the process of a function."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.conformance import command
from infra.conformance.__main__ import parsed
from infra.conformance.differences import DIFFERENCES, TESTS, Difference
from infra.conformance.plugin.process import WORKER, Died, Process, TookTooLong
from infra.environment import ROOT, EnvironmentFailed
from infra.host.interpreter import VARIABLE
from tests.support.endpoint import concerns

HANDLER = """
import os

def handle(event, context):
    print("was asked", event)
    if event is None:
        raise ValueError("asked nothing")
    return {"asked": event, "id": context.aws_request_id, "left": context.get_remaining_time_in_millis()}
"""
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "asked",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "29",
    "AWS_LAMBDA_LOG_GROUP_NAME": "group",
    "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
}


def test_an_unknown_endpoint_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(["moto"])
    assert ended.value.code == 2
    assert "choose from" in (said := capsys.readouterr().err)
    assert "localstack" in said


def test_options_after_the_endpoint_are_those_of_pytest() -> None:
    asked = parsed(["--environment", "/somewhere", "localstack", "tests/one.py", "-x", "-k", "dead"])
    assert asked.tests == ["tests/one.py", "-x", "-k", "dead"]
    assert asked.environment == Path("/somewhere")


def test_a_run_without_the_python_of_the_functions_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PATH", "PYENV_ROOT", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    # A repository that has chosen no interpreter.
    monkeypatch.setattr(command, "ROOT", tmp_path)
    assert command.run(tmp_path / "environment", []) == command.SKIPPED == 77
    assert capsys.readouterr().err.startswith("Skipped: No python3.")
    assert not (tmp_path / "environment").exists()


def test_a_variable_that_names_another_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/bin/false")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    with pytest.raises(EnvironmentFailed, match=f"{VARIABLE} is /bin/false"):
        command.run(tmp_path / "environment", [])


def named(difference: Difference) -> Iterator[tuple[Path, str]]:
    """Yield file and function of each test of *difference*; an empty name for a whole file."""
    for test in difference.tests:
        file, _, name = test.partition("::")
        yield ROOT / TESTS / file, name.partition("[")[0]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.what)
def test_a_difference_has_a_cause_and_names_existing_tests(difference: Difference) -> None:
    assert difference.what
    assert difference.cause
    assert difference.tests
    for file, name in named(difference):
        functions = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert not name or name in functions, f"{file.name} has no {name}: take it out of differences.py"


def test_the_page_lists_every_difference_and_no_other() -> None:
    page = (ROOT / "docs/local.md").read_text().partition("### Known differences")[2].partition("\n#")[0]
    rows = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in page.splitlines() if "|" in line]
    listed = {(row[0], row[1], row[2]) for row in rows[2:]}
    assert listed == {(one.what, one.cause, one.concerned) for one in DIFFERENCES}, "correct docs/local.md"


def test_a_difference_concerns_its_file_its_test_or_one_case() -> None:
    node = f"{TESTS}/test_gateway.py::test_a_head[front]"
    assert concerns("test_gateway.py", node)
    assert concerns("test_gateway.py::test_a_head", node)
    assert concerns("test_gateway.py::test_a_head[front]", node)
    assert not concerns("test_gateway.py::test_a_head[gateway]", node)
    assert not concerns("test_gateway.py::test_a", node)
    assert not concerns("test_gate.py", node)


def answers(folder: Path, *payloads: str) -> tuple[list[dict[str, Any]], str]:
    """Return what a function's process answers to *payloads*, and what it prints."""
    (folder / "asked.py").write_text(HANDLER)
    lines = [json.dumps({"request_id": f"r{n}", "arn": "arn", "payload": one}) for n, one in enumerate(payloads)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", WORKER, folder, "asked.handle"],
        input="\n".join(lines) + "\n",
        env=VARIABLES,
        capture_output=True,
        text=True,
        check=True,
    )
    ready, *given = [json.loads(line) for line in done.stdout.splitlines()]
    assert ready == {}
    return given, done.stderr


def test_a_function_as_a_process_answers_one_invocation_after_another(tmp_path: Path) -> None:
    (first, second), printed = answers(tmp_path, '"one"', '{"two": 2}')
    assert not first["error"]
    assert json.loads(first["payload"]) | {"left": 0} == {"asked": "one", "id": "r0", "left": 0}
    assert 20_000 < json.loads(second["payload"])["left"] <= 29_000
    assert printed == "was asked one\nwas asked {'two': 2}\n"


def test_an_error_of_a_function_is_its_answer_and_in_its_log(tmp_path: Path) -> None:
    (failed, after), printed = answers(tmp_path, "null", '"still there"')
    assert failed["error"]
    described = json.loads(failed["payload"])
    assert (described["errorType"], described["errorMessage"]) == ("ValueError", "asked nothing")
    assert "[ERROR] ValueError: asked nothing" in printed
    assert not after["error"]


def test_a_function_that_takes_too_long_or_dies_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "asked.py").write_text(
        "import os, time\ndef handle(event, context):\n    time.sleep(60) if event else os._exit(1)\n"
    )
    for payload, told in (("1", TookTooLong), ("0", Died)):
        process = Process(str(tmp_path), "asked.handle", VARIABLES, tmp_path / "log")
        with pytest.raises(told):
            process.ask({"request_id": "r", "arn": "arn", "payload": payload}, 1 if told is TookTooLong else 60)
        process.kill()
        assert not process.alive
    with pytest.raises(Died):
        Process(str(tmp_path), "missing.handle", VARIABLES, tmp_path / "log")
    assert "No module named 'missing'" in (tmp_path / "log").read_text()


def test_a_function_finds_modules_of_its_layers_behind_its_code(tmp_path: Path) -> None:
    code, layer = tmp_path / "code", tmp_path / "layer"
    for folder, names in ((code, ("both",)), (layer, ("both", "extra"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.py").write_text(f"PLACE = {folder.name!r}\n")
    (code / "asked.py").write_text("import both, extra\n\n\ndef handle(*_):\n    return [both.PLACE, extra.PLACE]\n")
    done = subprocess.run(
        [sys.executable, "-I", "-S", WORKER, f"{code}{os.pathsep}{layer}", "asked.handle"],
        input=json.dumps({"request_id": "r", "arn": "arn", "payload": "null"}) + "\n",
        env=VARIABLES,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(json.loads(done.stdout.splitlines()[1])["payload"]) == ["code", "layer"]
