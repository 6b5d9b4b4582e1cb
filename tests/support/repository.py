"""A repository without environments, for tests of `infra/environment.py`."""

import shutil
from pathlib import Path

from infra.environment import ROOT


def a_repository(root: Path, installer: str) -> Path:
    """Make a repository in *root*: the script, its modules, requirement files without packages, and *installer*.

    *installer* is the content of the file that names uv. Return *root*.
    """
    (root / "infra/local").mkdir(parents=True)
    for name in ("infra/__init__.py", "infra/environment.py"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "infra/host", root / "infra/host", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-dev.txt", "infra/local/requirements.txt"):
        (root / name).write_text("# nothing\n")
    (root / "infra/requirements.txt").write_text(installer)
    return root
