"""The docstring of a folder's ``__init__`` is its map: a list of exactly its files and folders."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import CORE, LIBRARY, ROOT, packages, place, tree, verdict

#: Test folders that have a map.
MAPPED_TESTS = ("architecture", "conformance", "support")


def test_every_map_lists_exactly_the_files_of_its_folder() -> None:
    folders = {path.parent for root in (LIBRARY, ROOT / "infra") for path in root.rglob("*.py")} - {LIBRARY}
    folders |= {ROOT / "tests" / name for name in MAPPED_TESTS}
    verdict(fault for folder in folders for fault in faults(folder, present(folder)))


def test_the_librarys_map_lists_every_file_but_the_slices() -> None:
    files = {path.name for path in LIBRARY.glob("*.py")} - {"__init__.py"}
    verdict(faults(LIBRARY, files | {f"{CORE}/"}))


def present(folder: Path) -> set[str]:
    """Return the names of modules and packages in *folder*; a program's ``__main__`` needs no line."""
    return {path.name for path in folder.glob("[!_]*.py")} | {f"{name}/" for name in packages(folder)}


def faults(folder: Path, wanted: set[str]) -> Iterator[str]:
    page = folder / "__init__.py"
    listed = names(page)
    yield from (f"{place(page)} does not list {name}: add a line to the map" for name in wanted - listed)
    yield from (f"{place(page)} lists {name}, which is not there: remove the line" for name in listed - wanted)


def names(page: Path) -> set[str]:
    """Return the file and folder names at the beginning of a map's lines."""
    lines = (ast.get_docstring(tree(page)) or "").splitlines() if page.exists() else []
    words = [line.split()[0] for line in lines if line.strip() and not line.startswith(" ")]
    return {word for word in words if word.endswith((".py", "/"))} - {"__main__.py"}
