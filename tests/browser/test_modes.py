"""Settings of a person's system: forced colours, reduced motion, a small phone."""

from typing import Any

from tests.browser.visits import SMALLEST, Visits, asked, violations
from tests.support.client import Client
from tests.support.stack import NewPerson

#: For each element: whether it is the current one, and whether it has a border in another colour than the page.
_MARKS = """
(all) => all.map((one) => {
  const [style, page] = [getComputedStyle(one), getComputedStyle(document.body).backgroundColor];
  const marked = ["top", "right", "bottom", "left"].some((side) =>
    parseFloat(style.getPropertyValue(`border-${side}-width`)) &&
    style.getPropertyValue(`border-${side}-color`) !== page);
  return [one.ariaCurrent === "page" || one.ariaSelected === "true", marked];
})
"""
_DURATIONS = "document.getAnimations().map((each) => each.effect.getComputedTiming().duration)"


def test_forced_colours_leave_each_mark_of_a_state(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person()
    asked(admin, ann.username, "Pay 120.00 EUR?")
    page = visits.signed_in(ann, "#/approvals", forced_colors="active")
    page.get_by_role("row", name="Pay 120.00 EUR?").wait_for()
    page.keyboard.press("Control+k")
    for several in (".menu a", ".tabs a", ".options li"):
        marks = page.eval_on_selector_all(several, _MARKS)
        assert [current for current, _ in marks].count(True) == 1, several
        assert all(current == marked for current, marked in marks), (several, marks)
    page.keyboard.press("Escape")
    # A full dot says live, a ring says paused.
    live = dot(page)
    page.get_by_role("button", name="Live").click()
    assert dot(page) != live
    page.get_by_role("link", name="Inbox").click()
    page.get_by_role("button", name="Approve").click()
    assert page.locator(".toast p").evaluate("(one) => getComputedStyle(one).borderTopStyle") == "solid"


def test_pages_are_accessible_in_forced_colours(visits: Visits, admin: Client, person: NewPerson) -> None:
    ann = person("officer")
    asked(admin, ann.username, "Pay 120.00 EUR?")
    page = visits.signed_in(ann, forced_colors="active", reduced_motion="reduce")
    found = {}
    for name, ready in {"inbox": "Approve", "approvals": "Asked", "ask": "Time to answer", "me": "Preferences"}.items():
        page.goto(f"{visits.url}#/{name}")
        page.get_by_text(ready).first.wait_for()
        found[name] = violations(page)
    assert not {name: lines for name, lines in found.items() if lines}


def test_reduced_motion_leaves_no_animation(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person(), "#/me", reduced_motion="reduce")
    # An answer that does not come leaves the page at its only animation.
    page.route("**/api/pending-responses?*", lambda route: None)
    page.goto(f"{visits.url}#/approvals")
    page.get_by_text("Loading…").wait_for()
    assert page.evaluate(_DURATIONS)
    assert not any(page.evaluate(_DURATIONS))
    page.unroute_all(behavior="ignoreErrors")


def test_header_keeps_one_line_on_the_smallest_phone(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person(), size=SMALLEST)
    words = page.locator(".bar .brand, .bar .stage, .bar button")
    page.locator(".bar .stage").wait_for()
    lines = words.evaluate_all(
        "all => all.map((one) => { const range = document.createRange(); range.selectNodeContents(one);"
        " return new Set([...range.getClientRects()].map((rect) => Math.round(rect.bottom / 12))).size; })"
    )
    assert set(lines) == {1}


def dot(page: Any) -> str:
    """Return the colour of the dot that says whether the page is live."""
    return str(page.locator(".live .dot").evaluate("(one) => getComputedStyle(one).backgroundColor"))
