"""The data folder's note of the running stack."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.host.processes import Identity
from infra.local.cli.data_folder import AlreadyRunning, Folder
from infra.operations.running_stack import Run
from tests.support.waiting import eventually, gone

HOLDER = "from infra.local.cli.data_folder import Folder; from pathlib import Path; import sys, time\n"
HOLDER += "with Folder(Path(sys.argv[1])).held(): print('held', flush=True); time.sleep(600)"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


def test_a_data_folder_has_one_holder_until_its_process_ends(folder: Folder) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert (run := folder.read())
        assert run.supervisor.pid == holder.pid
        with pytest.raises(AlreadyRunning), folder.held():
            pass
        holder.kill()

    assert folder.read() is None, "its note is still there and counts for nothing"
    with folder.held():
        pass


def test_the_note_of_a_run_reads_back_and_is_private(folder: Folder) -> None:
    run = Run(Identity.of(os.getpid()), "http://localhost:1", {"NAME": "value"})
    with folder.held():
        folder.write(run)
        assert folder.read() == run
        assert (folder.path / "run.json").stat().st_mode & 0o077 == 0
    assert folder.read() is None


@pytest.mark.parametrize("words", ["", "{}", "[]", '{"supervisor": 1, "url": "", "environment": {}}'])
def test_a_malformed_note_is_ignored(folder: Folder, words: str) -> None:
    folder.path.mkdir()
    (folder.path / "run.json").write_text(words)
    assert folder.read() is None


def test_wipe_ends_left_processes_and_deletes_own_files_alone(folder: Folder) -> None:
    (folder.path / "mongod").mkdir(parents=True)
    (folder.path / "yours").touch()
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    (folder.path / "mongod/mongod.pid").write_text(f"[{left.pid}, {Identity.of(left.pid).created}]")

    folder.wipe()

    eventually(lambda: gone(left.pid))
    left.wait()
    assert [path.name for path in folder.path.iterdir()] == ["yours"]
