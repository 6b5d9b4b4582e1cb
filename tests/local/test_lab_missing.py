"""The tests of the lab on a machine that cannot load libfaketime: skipped at home, failed in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT

#: Any test with the fixture `lab`.
_TEST = "tests/lab/test_clock.py::test_a_jump_to_a_former_time_is_refused"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the package is not asked for")
@pytest.mark.parametrize(("variables", "outcome"), [({}, "1 skipped"), ({"CI": "true"}, "1 error")])
def test_lab_without_libfaketime_skips_and_fails_in_ci(tmp_path: Path, variables: dict[str, str], outcome: str) -> None:
    # Given a library for another kind of machine
    library = tmp_path / "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF of another machine")
    (tmp_path / "libfaketime/__init__.py").touch()
    shell = {name: value for name, value in os.environ.items() if name != "CI"}
    # When
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", _TEST]
    environment = shell | variables | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    # Then the reason is shown, and no stack was started
    assert outcome in done.stdout, done.stdout + done.stderr
    assert "libfaketime, which cannot be loaded on this machine" in done.stdout
    assert done.returncode == (1 if variables else 0)
