"""Every guarantee of docs/api.md has its file in tests/conformance, and the file quotes the guarantee."""

import ast
import re

from tests.architecture.source import ROOT, place, tree, verdict

PAGE = ROOT / "docs/api.md"
FOLDER = ROOT / "tests/conformance"
#: A guarantee, and its conformance file.
LINE = re.compile(r"^- (.+) \[Test\]\(\.\./tests/conformance/(\w+\.py)\)$", re.MULTILINE)


def guarantees() -> dict[str, str]:
    """Return every guarantee of the page, by its linked file."""
    section = PAGE.read_text().partition("\n## Guarantees\n")[2].partition("\n## ")[0]
    return {file: promise for promise, file in LINE.findall(section)}


def test_every_conformance_file_has_its_guarantee_in_the_api_page() -> None:
    files, linked = {path.name for path in FOLDER.glob("test_*.py")}, guarantees().keys()
    verdict(
        [f"tests/conformance/{name} shows no guarantee of docs/api.md: add its line" for name in files - linked]
        + [f"docs/api.md links tests/conformance/{name}, which is not there: add it" for name in linked - files]
    )


def test_every_conformance_file_opens_with_the_words_of_its_guarantee() -> None:
    verdict(
        f"{place(path)} opens with other words than docs/api.md: quote '{promise}'"
        for name, promise in guarantees().items()
        if (path := FOLDER / name).exists() and not opening(ast.get_docstring(tree(path)) or "").startswith(promise)
    )


def opening(docstring: str) -> str:
    return re.sub(r"\s+", " ", docstring)
