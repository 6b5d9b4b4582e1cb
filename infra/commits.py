"""The length of commit subjects: every subject that is not yet upstream has at most 72 characters."""

import subprocess
from pathlib import Path

from infra.environment import ROOT

#: A longer subject is cut off by `git log --oneline` in a terminal, and by most viewers of commits.
MOST_CHARACTERS = 72
#: Without an upstream branch, this many commits are checked; older ones are history that nobody rewrites.
LAST_COMMITS = 20


def skip_reason(folder: Path) -> str | None:
    """Return why the commits of *folder* cannot be checked, or None if they can.

    *folder* must be the root of a git repository: the commits of a repository around *folder* belong to other work.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return "no git repository, or no git"
    if _git(folder, "rev-parse", "--is-shallow-repository") != "false":
        return "a shallow clone has not all commits"
    if _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        return "no commits"
    return None


def long_subjects(folder: Path) -> list[str]:
    """Return a line for each subject over the limit: the commit's short id, the subject's length, and the subject.

    Checked are the commits that the upstream branch lacks or, without an upstream branch, the last twenty. Merge
    commits are left out, as git writes their subjects.
    """
    upstream = _git(folder, "rev-parse", "--verify", "--quiet", "@{upstream}")
    chosen = [f"{upstream}..HEAD"] if upstream else [f"--max-count={LAST_COMMITS}", "HEAD"]
    log = _git(folder, "log", "--no-merges", "--format=%h %s", *chosen) or ""
    commits = [line.partition(" ") for line in log.splitlines()]
    return [
        f"{commit}: {len(subject)} characters: {subject}"
        for commit, _, subject in commits
        if len(subject) > MOST_CHARACTERS
    ]


def main() -> None:
    """Check, as a command: fail with a line for each long subject and the repair, or say why the check was skipped."""
    if reason := skip_reason(ROOT):
        print(f"skipped: {reason}")
        return
    if found := long_subjects(ROOT):
        repair = (
            f"A subject has at most {MOST_CHARACTERS} characters; details go into the body. "
            "Reword the last commit with `git commit --amend`, an earlier commit with `git rebase --interactive`."
        )
        raise SystemExit("\n".join([*found, repair]))
    print(f"no subject over {MOST_CHARACTERS} characters")


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of ``git`` in *folder*, or None if git is absent or the command failed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    main()
