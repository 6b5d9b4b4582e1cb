"""The layer of pushes: its packages, the functions that have it, and the imports of a push from package and layer."""

import importlib.metadata
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from chalicelib import slices
from infra.deployment import layer, package, wheels
from infra.environment import ROOT
from infra.host import interpreter
from infra.host.interpreter import RUNTIME
from infra.operations.failures import CommandFailed
from infra.requirements import FILES, locked, normalized, without
from tests.support.calls import functions_of, reached, reaching
from tests.unit.infra.build import Built

#: The two calls by which other slices push to devices.
PUSHES = {"chalicelib.devices.push", "chalicelib.devices.withdraw"}
_PUSHED = "import google.oauth2.service_account, cryptography.hazmat.primitives.asymmetric.rsa, chalicelib.devices.fcm"


class Fetched(NamedTuple):
    """The folders of wheels that the package and the layer of AWS carry."""

    package: Path
    layer: Path


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Fetched:
    """The wheels, fetched afresh into a build folder of its own."""
    root = tmp_path_factory.mktemp("fetched")
    for name in ("functions", "package"):
        shutil.copy(ROOT / FILES[name], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheels, "ROOT", root)
        try:
            return Fetched(wheels.of_package(), wheels.of_layer())
        except SystemExit as error:
            # A laptop may be offline; CI may not, so there the failure counts.
            if "CI" in os.environ or "hash" in str(error).lower():
                raise
            pytest.skip(f"wheels cannot be fetched: {error}")


def held(folder: Path) -> dict[str, str]:
    found = importlib.metadata.distributions(path=[str(folder)])
    return {normalized(one.name): one.version for one in found}


def test_package_and_layer_hold_each_locked_wheel_once(fetched: Fetched) -> None:
    packaged, extra = held(fetched.package), held(fetched.layer)
    assert packaged == locked(ROOT / FILES["package"])
    assert {**packaged, **extra} == locked(ROOT / FILES["functions"])
    assert not packaged.keys() & extra.keys()
    assert {"google-auth", "cryptography"} <= extra.keys()
    assert "cffi" in packaged


def test_packaged_libraries_are_built_for_lambda(fetched: Fetched) -> None:
    tag = RUNTIME.removeprefix("python").replace(".", "")
    built_for = {path.name.partition(".")[2] for path in (fetched.package / "pydantic_core").glob("*.so")}
    assert built_for == {f"cpython-{tag}-x86_64-linux-gnu.so"}


def test_layer_has_no_bytecode_of_this_machine_and_equal_bytes(
    fetched: Fetched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "of_layer", lambda: fetched.layer)
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for file in (first, second):
        wheels.write_layer(file, vendor=True)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as made:
        names = made.namelist()
    assert "python/google/auth/__init__.py" in names
    assert not [name for name in names if not name.startswith("python/") or "__pycache__" in name]


def imported(python: Path, *places: Path) -> subprocess.CompletedProcess[str]:
    """Import with *python* what a push needs, with the packages in *places* alone."""
    path = os.pathsep.join([str(ROOT), *map(str, places)])
    command = [str(python), "-I", "-S", "-c", f"import sys; sys.path += {path!r}.split(':'); {_PUSHED}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.defpath})


def test_push_imports_from_package_and_layer_together(fetched: Fetched) -> None:
    if (python := interpreter.found(RUNTIME, os.environ)) is None:
        pytest.skip(f"no {RUNTIME} here, for which these wheels are")
    both = imported(python, fetched.package, fetched.layer)
    assert both.returncode == 0, both.stderr
    assert "No module named 'google'" in imported(python, fetched.package).stderr


def test_exactly_the_functions_that_push_have_the_layer(built: Built) -> None:
    given = {
        one["Properties"]["FunctionName"]["Fn::Sub"].rpartition("-")[2]
        for one in built.package.app["Resources"].values()
        if one["Type"] == "AWS::Serverless::Function" and {"Ref": layer.LOGICAL} in one["Properties"].get("Layers", [])
    }
    assert given == reaching(PUSHES)
    assert given == {queue.name for queue in slices.QUEUES if queue.pushes}


def test_no_route_and_no_sweep_pushes() -> None:
    modules = [f"chalicelib.{one.parent.name}.api" for one in (ROOT / "chalicelib").glob("*/api.py")]
    found = reached({"chalicelib.slices.SLICES"}.union(*map(functions_of, modules)))
    assert {
        "chalicelib.approvals.worker.sweep",
        "chalicelib.devices.revoke",
        "chalicelib.devices.store.DeviceStore",
    } <= found
    assert not found & PUSHES


def test_local_layer_is_an_empty_folder(built: Built) -> None:
    assert built.package.layer
    with zipfile.ZipFile(built.package.layer) as made:
        assert made.namelist() == ["python/"]


def test_folder_without_its_layer_is_refused(built: Built, tmp_path: Path) -> None:
    for name in ("app.json", "data.json", "waiting.json", "deployment.zip"):
        shutil.copy(built.package.code.parent / name, tmp_path)
    with pytest.raises(CommandFailed, match=r"has no push\.zip"):
        package.load(tmp_path)


def test_packages_are_left_out_with_their_hashes() -> None:
    text = "a==1 \\\n    --hash=sha256:0\n    # via b\nb-c==2 ; x == 'y' \\\n    --hash=sha256:1\n"
    assert without(text, {"a"}) == text[text.index("b-c") :]
    assert without(text, {"b-c"}) == text[: text.index("b-c")]
