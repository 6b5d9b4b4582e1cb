"""Every page on a phone: targets that a thumb hits, and no sideways scroll."""

import pytest

from tests.browser.test_applications import made
from tests.browser.test_looks import pages
from tests.browser.visits import PHONE, SMALLEST, Visits, asked, scrolls_sideways, tried
from tests.support.client import Client
from tests.support.stack import NewPerson

#: Everything that is touched, but links within a sentence or a row. A box is touched by its label.
_CONTROLS = "main button, main .button, main input, main select, main summary, .tabs a, .menu a, header button"
_LOW = """
all => all.map((one) => one.matches("[type=checkbox], [type=radio]") ? one.closest("label") : one)
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
  .map((one) => one.textContent || one.ariaLabel || one.name)
"""


@pytest.mark.parametrize("size", [PHONE, SMALLEST])
def test_every_page_fits_and_its_targets_are_44_pixels_high(
    visits: Visits, admin: Client, person: NewPerson, size: tuple[int, int]
) -> None:
    boss = person("admin")
    request = asked(admin, boss.username, "Pay 120.00 EUR to Ada?", data={"invoice": "2041"})
    page = visits.signed_in(boss, "#/inbox", size=size)
    page.get_by_role("button", name="Approve").first.wait_for()
    found = {"inbox": (scrolls_sideways(page), page.eval_on_selector_all(_CONTROLS, _LOW))}
    for name, ready in pages(request, made(boss.client), boss.username, tried(boss.client)).items():
        page.goto(f"{visits.url}#/{name}")
        page.get_by_text(ready).first.wait_for()
        found[name] = scrolls_sideways(page), page.eval_on_selector_all(_CONTROLS, _LOW)
    assert found == dict.fromkeys(found, (False, []))
    page.get_by_role("button", name="Show the call: ask").click()
    page.get_by_role("dialog").wait_for()
    assert not scrolls_sideways(page)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("dialog").wait_for(state="detached")
