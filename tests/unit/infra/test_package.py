"""Building the package: content, limits, and messages of failures."""

import shutil
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from app import app
from infra.deployment import package, template, wheels
from infra.environment import ROOT
from tests.unit.infra.build import Built


def test_the_package_holds_the_application_and_no_local_tools(built: Built) -> None:
    with zipfile.ZipFile(built.package.code) as code:
        names = set(code.namelist())
    assert {"app.py", "chalicelib/slices.py"} <= names
    # Bytecode is for packages with wheels, which a Python of the runtime imports.
    for name in names:
        assert not name.startswith(("infra/", "tests/", ".chalice/", ".venv/"))
        assert "__pycache__" not in name


def test_a_package_over_lambdas_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    archive = tmp_path / "deployment.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as code:
        code.writestr("zeros", b"\0" * 3_000_000)
    assert archive.stat().st_size < 10_000
    # Then the unpacked size counts
    assert package._unpacked(archive) == 3_000_000
    monkeypatch.setattr(package, "_package", lambda source, stage, folder: {})
    monkeypatch.setattr(sys, "argv", ["package", "--folder", str(tmp_path)])
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 1_000)
    with pytest.raises(SystemExit, match="3 MB unpacked, 0 of them in the layer"):
        package.main()
    # And that of the layer with it

    def write(file: Path, *, vendor: bool) -> None:
        shutil.copy(archive, file)

    monkeypatch.setattr(wheels, "write_layer", write)
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 5_999_999)
    with pytest.raises(SystemExit, match="6 MB unpacked, 3 of them in the layer"):
        package.main()


def test_a_failed_import_of_the_application_names_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "repository"
    for part in ("chalicelib", "infra", ".chalice"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "app.py").write_text("import nothing_of_that_name\n")
    monkeypatch.setattr(package, "ROOT", root)
    with pytest.raises(package.PackageFailed, match="nothing_of_that_name"):
        package.build("dev", vendor=False, folder=tmp_path / "out")


def test_packaged_template_is_minified(built: Built) -> None:
    text = (built.package.code.parent / "app.json").read_text()
    assert text == template.minified(built.package.app)
    assert ": " not in text.partition("RestAPI")[0]


class Packaging(NamedTuple):
    """The folder of `package.main`, and the size of its template."""

    folder: Path
    size_bytes: int


@pytest.fixture
def packaging(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packaging:
    shutil.copy(built.package.code, tmp_path)
    monkeypatch.setattr(package, "_package", lambda *_: built.chalices)
    monkeypatch.setattr(package, "_endpoints", lambda: app.endpoints)
    monkeypatch.setattr(sys, "argv", ["package", "--folder", str(tmp_path)])
    return Packaging(tmp_path, len(template.minified(built.package.app).encode()))


def test_template_over_cloudformations_limit_is_refused(packaging: Packaging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_TEMPLATE_BYTES", packaging.size_bytes - 1)
    with pytest.raises(SystemExit, match=f"{packaging.size_bytes:,} bytes, and CloudFormation takes .* Put routes"):
        package.main()
    assert not (packaging.folder / "app.json").exists()


@pytest.mark.parametrize(("share", "warned"), [(1.0, True), (1.9, True), (2.1, False)])
def test_template_over_half_of_the_limit_prints_a_warning(
    packaging: Packaging,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    share: float,
    warned: bool,
) -> None:
    monkeypatch.setattr(package, "MAX_TEMPLATE_BYTES", int(share * packaging.size_bytes))
    package.main()
    assert ("Warning: The app template has" in capsys.readouterr().out) is warned
    assert (packaging.folder / "app.json").stat().st_size == packaging.size_bytes
