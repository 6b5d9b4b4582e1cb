"""The console's files: what a first visit costs, and the rules of the sources."""

import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path

from chalicelib.console.site import UI, dense, make, site

#: A first visit: the page, its files and config.json.
MOST_FILES, MOST_BYTES, LARGEST_APP_BYTES = 6, 68_000, 220_000
LONGEST_MODULE = 300
#: The modules that may use what no other module may.
ALONE = {r"\bfetch\(": {"api.js"}, r"\bset(Interval|Timeout)\(": {"live.js", "parts/toast.js", "pages/signin.js"}}
#: Sinks that would turn text into markup or code.
FORBIDDEN = r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|\beval\(|new Function|document\.write"

SOURCES = {
    path.relative_to(UI).as_posix(): path.read_text() for path in UI.rglob("*.js") if path.parent != UI / "vendor"
}


def test_first_visit_stays_within_its_files_and_bytes() -> None:
    texts = [site().page, *(file.text for file in site().files.values())]
    assert len(texts) + 1 <= MOST_FILES
    assert sum(len(gzip.compress(text.encode())) for text in texts) <= MOST_BYTES
    assert max(len(text.encode()) for text in texts) <= LARGEST_APP_BYTES


def test_page_names_every_file_by_its_hash() -> None:
    named = set(re.findall(r'(?:href|src)="([^"]+)"', site().page))
    assert named == set(site().files)


def test_sent_lines_have_no_indentation_and_no_remarks() -> None:
    assert dense("const a = [\n  1,\n\n  2,\n];\n") == "const a = [\n1,\n2,\n];\n"
    texts = [file.text for name, file in site().files.items() if name.startswith(("app", "console"))]
    assert not [line for text in texts for line in text.splitlines() if line != line.lstrip()]
    assert not [text for text in texts if text.count("/*") - text.count("image/*")]


def test_text_of_several_lines_is_not_indented() -> None:
    # Template literals without a tag and without values, whose indentation a browser would show.
    texts = [text for source in SOURCES.values() for text in re.findall(r"= `([^`$]*)`", source)]
    assert [text for text in texts if "\n" in text]
    assert not [text for text in texts if re.search(r"\n[ \t]", text)]


def test_changed_source_changes_the_file_name_and_the_hash(tmp_path: Path) -> None:
    shutil.copytree(UI, tmp_path / "ui")
    before = make(tmp_path / "ui")
    with (tmp_path / "ui/words.js").open("a") as source:
        source.write("const more = 1;\n")
    after = make(tmp_path / "ui")
    assert len(set(after.files) - set(before.files)) == 1
    assert after.hash != before.hash


def test_vendored_file_is_the_locked_one() -> None:
    lock = json.loads((UI / "vendor/lock.json").read_text())
    for name, digest in lock["files"].items():
        assert hashlib.sha256((UI / "vendor" / name).read_bytes()).hexdigest() == digest, f"{name}: scripts/vendor"
    licences = (UI / "vendor/LICENSES.txt").read_text()
    for package in lock["packages"]:
        assert f"{package['name']} {package['version']}" in licences


def test_sources_keep_to_their_rules() -> None:
    found = [
        f"{name}: {pattern}"
        for pattern, allowed in ALONE.items()
        for name, text in SOURCES.items()
        if re.search(pattern, text) and name not in allowed
    ]
    found += [f"{name}: {FORBIDDEN}" for name, text in SOURCES.items() if re.search(FORBIDDEN, text)]
    found += [f"{name} is too long" for name, text in SOURCES.items() if len(text.splitlines()) > LONGEST_MODULE]
    found += [f"{name} has no line that says what it owns" for name, text in SOURCES.items() if text[:3] != "// "]
    assert not found


def test_map_of_the_sources_names_every_file() -> None:
    listed = set(re.findall(r"^// ([a-z]+(?:\.js|/)) ", SOURCES["main.js"], re.MULTILINE))
    present = {name if "/" not in name else f"{name.split('/')[0]}/" for name in SOURCES} | {"vendor/"}
    assert listed == present
