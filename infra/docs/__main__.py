"""``python -m infra.docs``: writes the generated pages, or with ``--check`` compares them."""

import argparse
import sys
from collections.abc import Callable, Mapping

from infra.docs import fields, settings
from infra.environment import ROOT

PAGES: Mapping[str, Callable[[], str]] = {"settings.md": settings.page, "fields.md": fields.page}


def main() -> None:
    """Write the pages. With ``--check``, write nothing, and exit with an error if a page is out of date."""
    parser = argparse.ArgumentParser(prog="python -m infra.docs", description="Generate the pages that come from code.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page is out of date")
    asked = parser.parse_args()
    outdated = []
    for name, made in PAGES.items():
        file, text = ROOT / "docs" / name, made()
        if not file.exists() or file.read_text() != text:
            outdated.append(name)
            if not asked.check:
                file.write_text(text)
    if asked.check and outdated:
        sys.exit(f"out of date: {', '.join(outdated)}; run python -m infra.docs")


if __name__ == "__main__":
    main()
