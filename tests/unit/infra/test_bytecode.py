"""Bytecode in the package: unchecked, the same for the same input, and by a Python of the runtime."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.deployment import bytecode, package
from infra.host import interpreter
from infra.host.interpreter import VARIABLE, WrongInterpreter
from infra.operations.failures import CommandFailed

#: This Python stands for the runtime's, which CI may lack.
PYTHON = Path(sys.executable)
OWN = "python{}.{}".format(*sys.version_info[:2])
NONE = "python3.1"
_THINGS = "def known(kind):\n    return kind in {'a', 'b', 'c', 'd', 'e', 'f', 'g'}\n"


def a_package(folder: Path, **modules: str) -> Path:
    code = folder / "deployment.zip"
    folder.mkdir()
    with zipfile.ZipFile(code, "w") as made:
        for name, text in modules.items():
            made.writestr(f"{name}.py", text)
        made.writestr("things/__init__.py", _THINGS)
        made.writestr("things/table.json", "{}")
    return code


def test_equal_packages_are_equal_with_their_bytecode(tmp_path: Path) -> None:
    first, second = (a_package(tmp_path / name, app="VALUE = 1\n") for name in ("first", "second"))
    assert [bytecode.compiled(code, PYTHON) for code in (first, second)] == [2, 2]
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as made:
        tag = sys.implementation.cache_tag
        names = {"app.py", "things/__init__.py", "things/table.json"}
        assert set(made.namelist()) == names | {f"__pycache__/app.{tag}.pyc", f"things/__pycache__/__init__.{tag}.pyc"}


def test_bytecode_is_used_without_a_look_at_its_source(tmp_path: Path) -> None:
    code = a_package(tmp_path / "built", app="VALUE = 1\n")
    bytecode.compiled(code, PYTHON)
    place = tmp_path / "task"
    with zipfile.ZipFile(code) as made:
        made.extractall(place)
    (place / "app.py").write_text("VALUE = 1 + 1\n")
    asked = [sys.executable, "-c", "import app; print(app.VALUE)"]
    assert subprocess.run(asked, cwd=place, capture_output=True, text=True, check=True).stdout == "1\n"


def test_module_with_a_fault_is_named(tmp_path: Path) -> None:
    code = a_package(tmp_path / "built", broken="def\n")
    with pytest.raises(CommandFailed, match=r"broken\.py"):
        bytecode.compiled(code, PYTHON)


def test_interpreter_on_path_is_found_behind_one_that_fails(tmp_path: Path) -> None:
    shims, real = tmp_path / "shims", tmp_path / "real"
    for folder in (shims, real):
        folder.mkdir()
    (shims / OWN).write_text("#!/bin/sh\nexit 127\n")
    (shims / OWN).chmod(0o755)
    (real / OWN).symlink_to(sys.executable)
    assert interpreter.found(OWN, {"PATH": f"{shims}{os.pathsep}{real}"}) == real / OWN


def test_interpreter_among_pyenvs_versions_is_found(tmp_path: Path) -> None:
    place = tmp_path / "versions" / "3.x.y" / "bin"
    place.mkdir(parents=True)
    (place / OWN).symlink_to(sys.executable)
    assert interpreter.found(OWN, {"PATH": "", "PYENV_ROOT": str(tmp_path)}) == place / OWN


def test_variable_names_the_interpreter(tmp_path: Path) -> None:
    assert interpreter.found(OWN, {"PATH": "", VARIABLE: sys.executable}) == PYTHON
    for wrong in (str(tmp_path / "missing"), "/bin/false"):
        with pytest.raises(WrongInterpreter, match=f"{wrong}, which is not a CPython of {OWN}"):
            interpreter.found(OWN, {"PATH": os.environ["PATH"], VARIABLE: wrong})
    with pytest.raises(WrongInterpreter, match=NONE):
        interpreter.found(NONE, {VARIABLE: sys.executable})


def test_package_without_bytecode_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, extra = a_package(tmp_path / "built"), a_package(tmp_path / "layer")
    before = code.read_bytes()
    for name, value in {"PATH": "", "HOME": str(tmp_path), "PYENV_ROOT": "", VARIABLE: ""}.items():
        monkeypatch.setenv(name, value)
    assert package._add_bytecode(code, extra) is None
    assert VARIABLE in capsys.readouterr().out
    assert code.read_bytes() == extra.read_bytes() == before


def test_package_names_the_python_of_its_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package, "RUNTIME", OWN)
    monkeypatch.setenv(VARIABLE, sys.executable)
    made_by = package._add_bytecode(a_package(tmp_path / "built"), a_package(tmp_path / "layer"))
    assert made_by == "{}.{}.{}".format(*sys.version_info[:3])
    assert f"made by {sys.executable} ({made_by})" in capsys.readouterr().out
