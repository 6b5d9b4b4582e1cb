"""The dialog of a conflict: the viewer has typed, and somebody else saves first."""

from typing import Any

from tests.pictures.demo import Demo
from tests.support.client import json_of

PATH = "applications/A-2042"
#: The fields of the application as the viewer finds it, and as the other person saves it.
_FOUND = {"amountMinor": 845_000, "termMonths": 36, "email": "grace@example.org"}
_THEIRS = {"amountMinor": 900_000, "termMonths": 36, "email": "grace.hopper@example.org"}


def meet(page: Any, demo: Demo) -> None:
    """Open the dialog on *page*, which shows the application. May be repeated: the fields are first as before."""
    _save(demo, _FOUND)
    page.reload()
    page.get_by_label("Amount").fill("7,500.00")
    page.get_by_label("Months").fill("48")
    _save(demo, _THEIRS)
    page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    dialog.get_by_role("radio").last.check()


def _save(demo: Demo, fields: dict[str, Any]) -> None:
    now = json_of(demo.officer.get(f"/api/{PATH}"))
    json_of(demo.officer.call("PUT", f"/api/{PATH}", {"version": now["version"], **fields}))
