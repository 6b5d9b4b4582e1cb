"""The choice of the interpreter that functions run on here: kept without running it, and chosen anew when needed."""

import json
import os
import sys
from pathlib import Path

import pytest

from infra.host import interpreter, runtime
from infra.host.interpreter import RUNTIME, VARIABLE, WrongInterpreter
from infra.host.runtime import Choice

OWN = "python{}.{}".format(*sys.version_info[:2])


@pytest.fixture(autouse=True)
def own_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this Python stand for the runtime's, which CI may lack."""
    monkeypatch.setattr(runtime, "RUNTIME", OWN)


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine whose PATH has one folder, and without pyenv."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "none")}


def a_program(folder: Path, script: str) -> Path:
    program = folder / OWN
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def without_venv(folder: Path) -> Path:
    """Make a program that is an interpreter of the runtime and can make no environment."""
    said = json.dumps(["cpython", OWN, "3.0.0", str(folder / OWN)])
    return a_program(folder, f"""case "$*" in *venv*) exit 1 ;; esac; echo '{said}'""")


def unable(*_: object) -> None:
    raise AssertionError("an interpreter was run")


def test_kept_choice_runs_no_interpreter(
    tmp_path: Path, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_program(tmp_path / "bin", "exit 127")
    choices = [Choice(OWN, sys.executable, "", runtime._seen([Path(sys.executable)])), runtime.chosen(machine)]
    monkeypatch.setattr(interpreter, "probed", unable)
    for choice in choices:
        runtime.keep(tmp_path, choice)
        assert runtime.kept(tmp_path, machine) == choice


def test_interpreter_behind_a_failing_shim_is_chosen(tmp_path: Path, machine: dict[str, str]) -> None:
    a_program(tmp_path / "bin", "exit 127")
    real = tmp_path / "none/versions/3.x.y/bin"
    real.mkdir(parents=True)
    (real / OWN).symlink_to(sys.executable)
    choice = runtime.chosen(machine)
    assert Path(choice.program) == real / OWN
    assert choice.lacking == ""


def test_changed_or_deleted_program_is_chosen_anew(tmp_path: Path, machine: dict[str, str]) -> None:
    program = a_program(tmp_path, "")
    runtime.keep(tmp_path, Choice(OWN, str(program), "", runtime._seen([program])))
    assert runtime.kept(tmp_path, machine)
    program.write_text("#!/bin/sh\n# of another version\n")
    assert runtime.kept(tmp_path, machine) is None
    runtime.keep(tmp_path, Choice(OWN, str(program), "", runtime._seen([program])))
    program.unlink()
    assert runtime.kept(tmp_path, machine) is None


def test_laptops_own_python_serves_until_a_candidate_appears(tmp_path: Path, machine: dict[str, str]) -> None:
    choice = runtime.chosen(machine)
    assert choice.program == ""
    runtime.keep(tmp_path, choice)
    assert runtime.kept(tmp_path, machine) == choice
    a_program(tmp_path / "bin", "exit 127")
    assert runtime.kept(tmp_path, machine) is None


def test_choice_of_another_runtime_and_an_unreadable_one_hold_no_more(tmp_path: Path, machine: dict[str, str]) -> None:
    runtime.keep(tmp_path, runtime.chosen(machine)._replace(runtime="python3.1"))
    assert runtime.kept(tmp_path, machine) is None
    (tmp_path / runtime.FILE).write_text('{"runtime": ')
    assert runtime.kept(tmp_path, machine) is None


def test_interpreter_that_makes_no_environment_is_skipped_and_told(tmp_path: Path, machine: dict[str, str]) -> None:
    program = without_venv(tmp_path / "bin")
    choice = runtime.chosen(machine)
    assert (choice.program, choice.lacking) == ("", str(program))
    with pytest.raises(WrongInterpreter, match="cannot make an environment"):
        runtime.chosen(machine | {VARIABLE: str(program)})


def test_variable_overrules_the_kept_choice(tmp_path: Path, machine: dict[str, str]) -> None:
    (tmp_path / OWN).symlink_to(sys.executable)
    named = machine | {VARIABLE: str(tmp_path / OWN)}
    runtime.keep(tmp_path, runtime.chosen(machine))
    assert runtime.kept(tmp_path, named) is None
    choice = runtime.chosen(named)
    assert choice.program == str(tmp_path / OWN)
    runtime.keep(tmp_path, choice)
    assert runtime.kept(tmp_path, named) == runtime.kept(tmp_path, machine) == choice
    assert runtime.kept(tmp_path, named | {VARIABLE: "/bin/false"}) is None
    with pytest.raises(WrongInterpreter, match=f"/bin/false, which is not a CPython of {OWN}"):
        runtime.chosen(machine | {VARIABLE: "/bin/false"})


def test_python_of_another_version_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "RUNTIME", RUNTIME)
    assert runtime.sentence(f"{RUNTIME.removeprefix('python')}.7").endswith(".7, as on AWS")
    other = runtime.sentence("3.1.5")
    assert other.startswith(f"Python 3.1.5, not {RUNTIME} as on AWS: install")
    assert VARIABLE in other
    assert os.linesep not in other
