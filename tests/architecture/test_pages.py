"""Links of pages lead to existing files, pictures are small, and the lists of scripts and decisions are complete."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOT, place, verdict

PAGES = [*ROOT.glob("*.md"), *(ROOT / "scripts").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_PICTURE = re.compile(r'\bsrc(?:set)?="([^"]+)"')
#: More would make a page slow to open.
_LARGEST_BYTES = 150_000
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def test_every_link_between_pages_leads_to_a_file() -> None:
    verdict(
        f"{place(page)} links {link}, which is not there: correct the link"
        for page in PAGES
        for link in _files(page)
        if not (page.parent / link).exists()
    )


def test_every_picture_of_a_page_is_there_and_small() -> None:
    pictures = {page.parent / name: page for page in PAGES for name in _PICTURE.findall(page.read_text())}
    assert pictures
    verdict(
        f"{place(page)} shows {path.name}, which is not there or over {_LARGEST_BYTES} bytes: scripts/pictures"
        for path, page in pictures.items()
        if not path.is_file() or path.stat().st_size > _LARGEST_BYTES
    )


def test_the_page_of_scripts_has_a_line_for_each_script() -> None:
    listed = set(re.findall(r"^\| `scripts/(\w+)`", (ROOT / "scripts/README.md").read_text(), re.MULTILINE))
    present = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix}
    verdict(
        [f"scripts/README.md has no line for scripts/{name}" for name in present - listed]
        + [f"scripts/README.md has a line for scripts/{name}, which is not there" for name in listed - present]
    )


def test_the_index_of_decisions_links_every_decision() -> None:
    folder = ROOT / "docs/decisions"
    linked = set(_files(folder / "README.md"))
    missing = {path.name for path in folder.glob("*.md")} - linked - {"README.md"}
    verdict(f"docs/decisions/README.md does not link {name}: add a line" for name in missing)


def _files(page: Path) -> Iterator[str]:
    """Return the links of *page* to files of the repository."""
    return (link for link in _LINK.findall(page.read_text()) if "://" not in link)
