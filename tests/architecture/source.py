"""The code that the rules read, and how a broken rule is reported."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "chalicelib"
CORE = "core"


def module_name(path: Path) -> str:
    """Return the dotted module name of *path*."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place(path: Path) -> str:
    """Return *path* relative to the repository."""
    return path.relative_to(ROOT).as_posix()


def python_files(*folders: str) -> list[Path]:
    """Return every Python file under *folders*, in order."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def packages(folder: Path) -> list[str]:
    """Return the names of the packages directly in *folder*."""
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


#: Every module of the library with its file.
MODULES = {module_name(path): path for path in python_files("chalicelib")}
#: Every folder of the library that is not the platform.
SLICES = [name for name in packages(LIBRARY) if name != CORE]
#: Every Python file that is not a test.
SHIPPED_OR_RUN = [ROOT / "app.py", *python_files("chalicelib", "infra")]


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of *path*."""
    return ast.parse(path.read_text(), str(path))


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method in *node*, nested ones too."""
    return (found for found in ast.walk(node) if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef))


def verdict(faults: Iterable[str]) -> None:
    """Fail with *faults*, a sentence per line, if there are any."""
    if found := sorted(set(faults)):
        pytest.fail("\n" + "\n".join(found), pytrace=False)
