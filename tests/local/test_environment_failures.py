"""`infra/environment.py` without a network, without a writable folder, and interrupted: sentences, no tracebacks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import BOOTSTRAP, LAPTOP
from infra.host import installer, ports
from tests.support.repository import a_repository
from tests.support.waiting import eventually


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without environments, whose only package is at no index."""
    return a_repository(tmp_path / "repository", f"uv==0.13.8 --hash=sha256:{'0' * 64}\n")


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """A shell whose package index is a closed port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    index = f"http://127.0.0.1:{ports.free()}/simple"
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}


def started(root: Path, shell: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(root / "infra/environment.py")],
        env=shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Like in a terminal: a process group of its own, for Ctrl-C.
        start_new_session=True,
    )


def test_unreachable_index_is_one_sentence_after_one_retry(root: Path, shell: dict[str, str]) -> None:
    process = started(root, shell)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "The package index does not answer." in said
    assert "PIP_INDEX_URL" in said
    assert "Retrying" not in said
    assert "Traceback" not in said


def test_retries_of_the_callers_own_settings_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_RETRIES", raising=False)
    assert installer.settings()["PIP_RETRIES"] == "1"
    monkeypatch.setenv("PIP_RETRIES", "7")
    assert installer.settings()["PIP_RETRIES"] == "7"


def test_ctrl_c_during_the_set_up_is_one_sentence_and_130(root: Path, shell: dict[str, str]) -> None:
    process = started(root, shell)
    eventually((root / LAPTOP.folder).exists)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "Interrupted. Nothing half-made is used; run the command again."
    assert "Traceback" not in said
    assert not BOOTSTRAP.ready(root)


def test_unwritable_folder_is_named_without_a_traceback(root: Path, shell: dict[str, str]) -> None:
    # A file in the way fails like a folder without permission, also for root.
    (root / LAPTOP.folder).touch()
    process = started(root, shell)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.startswith(f"{root}/.venv: ")
    assert "This user must be able to write .venv." in said
