"""Commit subjects over 72 characters fail a check of the commits that are not yet upstream."""

import os
import subprocess
from pathlib import Path

import pytest

from infra import commits

LONG = "Write a subject that says everything, the reasons included, and so is cut"
FITTING = LONG[:72]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves git without the settings of this machine, and without the repository of a hook that runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in {"CONFIG_GLOBAL": os.devnull, "CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(f"GIT_{name}", value)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@example.org")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def commit(folder: Path, *subjects: str) -> None:
    for subject in subjects:
        git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)


def test_a_subject_of_73_characters_is_found_and_one_of_72_is_not(repository: Path) -> None:
    commit(repository, FITTING, LONG)
    (found,) = commits.long_subjects(repository)
    assert found.endswith(f": 73 characters: {LONG}")


def test_a_long_subject_behind_the_last_twenty_is_not_found(repository: Path) -> None:
    commit(repository, LONG, *[FITTING] * commits.LAST_COMMITS)
    assert commits.long_subjects(repository) == []


def test_long_subjects_are_found_only_beyond_the_upstream_branch(repository: Path, tmp_path: Path) -> None:
    # Given a long subject that is upstream
    commit(repository, LONG)
    git(tmp_path, "clone", "--quiet", "repository", "clone")
    clone = tmp_path / "clone"
    assert commits.long_subjects(clone) == []
    # When more long subjects than the last twenty are committed on top, then these are found and no other
    commit(clone, *[LONG] * (commits.LAST_COMMITS + 1))
    assert len(commits.long_subjects(clone)) == commits.LAST_COMMITS + 1


def test_the_command_fails_with_the_commit_and_the_repair(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commits, "ROOT", repository)
    commit(repository, FITTING)
    commits.main()
    assert capsys.readouterr().out == "no subject over 72 characters\n"
    commit(repository, LONG)
    with pytest.raises(SystemExit, match=f"(?s)^[0-9a-f]+: 73 characters: {LONG}\n.*git commit --amend"):
        commits.main()


def test_a_folder_without_git_is_skipped_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commits, "ROOT", tmp_path)
    commits.main()
    assert capsys.readouterr().out == "skipped: no git repository, or no git\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    commits.main()
    assert capsys.readouterr().out == "skipped: no git repository, or no git\n"


def test_a_folder_inside_a_repository_and_an_empty_one_are_skipped(repository: Path) -> None:
    assert commits.skip_reason(repository) == "no commits"
    commit(repository, LONG)
    assert commits.skip_reason(repository) is None
    inside = repository / "inside"
    inside.mkdir()
    assert commits.skip_reason(inside) == "no git repository, or no git"


def test_a_shallow_clone_is_skipped(repository: Path, tmp_path: Path) -> None:
    commit(repository, FITTING, LONG)
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "shallow")
    assert commits.skip_reason(tmp_path / "shallow") == "a shallow clone has not all commits"
