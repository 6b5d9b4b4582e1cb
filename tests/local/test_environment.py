"""`infra/environment.py`, on a repository with local wheels as packages: no network is needed."""

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import environment
from infra.environment import ALL, EMULATOR, FUNCTIONS, LAPTOP, EnvironmentFailed
from infra.host import installer, runtime
from infra.host.interpreter import VARIABLE
from tests.support.repository import a_repository


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose environments are up to date."""
    root = tmp_path_factory.mktemp("made") / "repository"
    a_repository(root, uv_requirement(tmp_path_factory.mktemp("installer")))
    environment.ensure(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of the repository for a single test."""
    return Path(shutil.copytree(made, tmp_path / "repository", symlinks=True))


def uv_requirement(folder: Path) -> str:
    """Return a requirement of the installed uv, repacked as a wheel."""
    uv = importlib.metadata.distribution("uv")
    wheel = folder / f"uv-{uv.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for file in uv.files or ():
            within = f"uv-{uv.version}.data/scripts/{file.name}" if file.parts[0] == ".." else str(file)
            if file.suffix != ".pyc":
                packed.write(Path(str(uv.locate_file(file))), within)
    return locked("uv", wheel)


def a_package(folder: Path, name: str) -> str:
    """Return a requirement that can be installed without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr(f"{name}.py", "")
        packed.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1")
        packed.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any")
        packed.writestr(f"{name}-1.dist-info/RECORD", "")
    return locked(name, wheel)


def locked(name: str, wheel: Path) -> str:
    """Return the line of a requirement file that locks *name* to the content of *wheel*."""
    return f"{name} @ file://{wheel} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def imports(environment_: environment.Environment, root: Path, module: str) -> bool:
    command = [str(environment_.python(root)), "-I", "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_all_environments_are_made_and_the_laptops_alone_has_pip(made: Path) -> None:
    assert all(one.ready(made) for one in ALL)
    assert [imports(one, made, "pip") for one in (LAPTOP, FUNCTIONS, EMULATOR)] == [True, False, False]


def test_a_run_without_changes_prints_the_path_alone(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "infra/environment.py")], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"{root}/.venv/bin/python\n"
    assert done.stderr == ""


def test_a_changed_requirement_file_installs_and_uninstalls(root: Path, tmp_path: Path) -> None:
    before = LAPTOP.stamp(root).stat().st_mtime_ns
    (root / "infra/local/requirements.txt").write_text(a_package(tmp_path / "packages", "one"))
    environment.ensure(root)
    assert imports(EMULATOR, root, "one")

    (root / "infra/local/requirements.txt").write_text(a_package(tmp_path / "packages", "other"))
    environment.ensure(root)
    assert imports(EMULATOR, root, "other")
    assert not imports(EMULATOR, root, "one")
    assert LAPTOP.stamp(root).stat().st_mtime_ns == before, "the others were left alone"


def test_a_package_with_a_wrong_hash_is_refused(root: Path, tmp_path: Path) -> None:
    line = a_package(tmp_path / "packages", "one")
    with zipfile.ZipFile(tmp_path / "packages/one-1-py3-none-any.whl", "a") as packed:
        packed.writestr("changed.py", "")
    (root / "requirements.txt").write_text(line)

    with pytest.raises(EnvironmentFailed, match=r"(?is)hash mismatch"):
        environment.ensure(root)

    assert not FUNCTIONS.ready(root)


def test_a_package_without_a_hash_is_refused(root: Path, tmp_path: Path) -> None:
    line = a_package(tmp_path / "packages", "one").partition(" --hash")[0]
    (root / "requirements.txt").write_text(f"{line}\n")

    with pytest.raises(EnvironmentFailed, match=r"(?is)hash"):
        environment.ensure(root)


def test_a_package_removed_from_the_laptops_file_is_uninstalled(root: Path, tmp_path: Path) -> None:
    (root / "requirements-dev.txt").write_text(a_package(tmp_path / "packages", "one"))
    environment.ensure(root)
    assert imports(LAPTOP, root, "one")

    (root / "requirements-dev.txt").write_text("# nothing\n")
    environment.ensure(root)
    assert [imports(LAPTOP, root, module) for module in ("one", "pip", "uv")] == [False, True, True]


def home(environment_: environment.Environment, root: Path) -> str:
    """Return the folder of the interpreter that an environment was made by."""
    lines = (root / environment_.folder / "pyvenv.cfg").read_text().splitlines()
    return next(line.partition(" = ")[2] for line in lines if line.startswith("home = "))


def test_functions_and_emulator_follow_the_interpreter_of_the_runtime(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This Python stands for the runtime's, which CI may lack.
    own = "python{}.{}".format(*sys.version_info[:2])
    monkeypatch.setattr(runtime, "RUNTIME", own)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path / "found"))
    environment.ensure(root)
    laptops, before = LAPTOP.stamp(root).stat().st_mtime_ns, home(FUNCTIONS, root)
    assert before != str(tmp_path / "found")

    (tmp_path / "found").mkdir()
    (tmp_path / "found" / own).symlink_to(sys.executable)
    assert not FUNCTIONS.ready(root), "it has appeared"
    environment.ensure(root)
    assert {home(one, root) for one in (FUNCTIONS, EMULATOR)} == {str(tmp_path / "found")}
    assert imports(FUNCTIONS, root, "sys")

    (tmp_path / "found" / own).unlink()
    assert not FUNCTIONS.ready(root), "it has vanished"
    environment.ensure(root)
    assert {home(one, root) for one in (FUNCTIONS, EMULATOR)} == {before}
    assert LAPTOP.stamp(root).stat().st_mtime_ns == laptops


def test_a_variable_that_names_no_interpreter_of_the_runtime_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/bin/false")
    with pytest.raises(EnvironmentFailed, match=f"{VARIABLE} is /bin/false, which is not a CPython of python3"):
        environment.ensure(root)


def test_an_interrupted_installation_is_repeated(root: Path) -> None:
    FUNCTIONS.stamp(root).unlink()
    assert not FUNCTIONS.ready(root)

    environment.ensure(root)
    assert FUNCTIONS.ready(root)


def test_an_environment_without_interpreter_is_recreated(root: Path) -> None:
    shutil.rmtree(root / ".venv/bin")
    environment.ensure(root)
    assert all(one.ready(root) for one in ALL)
    assert imports(LAPTOP, root, "pip")


def test_a_failed_installation_shows_uvs_message_and_the_remedy(root: Path) -> None:
    line = f"nothing-like-it @ file:///nowhere/at/all/nothing_like_it-1-py3-none-any.whl --hash=sha256:{'0' * 64}\n"
    (root / "requirements.txt").write_text(line)

    with pytest.raises(EnvironmentFailed, match=r"(?s)/nowhere/at/all.*run this\s+again"):
        environment.ensure(root)

    assert not FUNCTIONS.ready(root)
    assert EMULATOR.ready(root)


def test_two_concurrent_runs_install_once(root: Path) -> None:
    (root / "infra/local/requirements.txt").write_text("# changed\n")

    def run(_: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(root / "infra/environment.py")]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(run, range(2)))

    assert sum("✓ installing" in done.stderr for done in runs) == 1


def test_a_too_old_interpreter_is_named_with_the_needed_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "OLDEST", (99, 0))
    with pytest.raises(EnvironmentFailed, match=r"needs Python 3\.11 or newer; python3 here is 3\."):
        environment.check_interpreter()


def test_a_missing_venv_module_is_named_with_debians_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(EnvironmentFailed, match="apt-get install python3-venv"):
        environment.check_interpreter()


def test_python_settings_of_the_shell_do_not_reach_installations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example")

    seen = installer.run([sys.executable, "-c", "import os; print(*os.environ)"]).stdout.split()

    assert "PIP_INDEX_URL" in seen
    assert {"PIP_TARGET", "PYTHONPATH"}.isdisjoint(seen)


def test_pips_settings_reach_uv_after_uvs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://a.example\nextra-index-url = b c\n")
    for name in ("UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "one two")
    monkeypatch.setenv("PIP_PROXY", "ignored")
    monkeypatch.setenv("ALL_PROXY", "kept")

    handed = installer.uv_settings(sys.executable)

    names = ("UV_DEFAULT_INDEX", "UV_FIND_LINKS", "ALL_PROXY")
    assert [handed[name] for name in names] == ["https://a.example", "one,two", "kept"]
    assert handed["UV_EXTRA_INDEX_URL"].split() == ["b", "c"]
