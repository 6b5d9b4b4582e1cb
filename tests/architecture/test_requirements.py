"""The locked requirement files: complete, in agreement with pyproject.toml and with each other."""

import re
import tomllib

import pytest

from infra.requirements import FILES, locked, normalized
from tests.architecture.source import ROOT, verdict

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
RENEW = "run scripts/lock"
_EXTRAS = re.compile(r"\[.*?\]")


def direct(group: str) -> dict[str, str]:
    """Return the version of each package of *group* and its included groups."""
    found: dict[str, str] = {}
    for entry in GROUPS[group]:
        if isinstance(entry, dict):
            found |= direct(entry["include-group"])
        else:
            name, _, version = _EXTRAS.sub("", entry.partition(";")[0].strip()).partition("==")
            found[normalized(name)] = version
    return found


@pytest.mark.parametrize("group", FILES)
def test_requirement_file_locks_what_its_group_pins(group: str) -> None:
    held = locked(ROOT / FILES[group])
    verdict(
        f"{FILES[group]} has {name} {held.get(name)}, pyproject.toml pins {version or 'no version'}: {RENEW}"
        for name, version in direct(group).items()
        if held.get(name) != version
    )


@pytest.mark.parametrize("file", FILES.values())
def test_every_locked_package_has_hashes_and_no_address(file: str) -> None:
    text = (ROOT / file).read_text()
    packages = [part for part in re.split(r"\n(?=[a-z0-9])", text) if not part.startswith("#")]
    verdict(f"{file}: {part.split()[0]} has no hash: {RENEW}" for part in packages if "--hash=sha256:" not in part)
    assert "://" not in text


def test_requirement_files_agree_on_every_version() -> None:
    laptop = locked(ROOT / FILES["laptop"])
    verdict(
        f"{FILES[group]} has {name} {version}, {FILES['laptop']} {laptop.get(name)}: {RENEW}"
        for group in ("server", "functions")
        for name, version in locked(ROOT / FILES[group]).items()
        if laptop.get(name) != version
    )
