"""An activation from a pasted list, reloaded while it runs; and the page of a mailed link."""

import itertools
import re
import secrets
from typing import Any

from pymongo.database import Database

from infra.local.stack import Stack
from tests.browser.visits import SMALLEST, Visits, scrolls_sideways, violations
from tests.integration.test_activation import mails
from tests.support.client import json_of
from tests.support.kill import kill
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

LEADS, LONG_MS = 100, 120_000
COUNTED = ("Activated", "Skipped", "Failed", "Mails sent", "Mails failed")


def numbers(page: Any) -> dict[str, int]:
    region = page.get_by_role("region", name="Progress")
    region.wait_for(timeout=LONG_MS)
    return {
        name: int(region.get_by_role("row", name=re.compile(f"^{name}")).get_by_role("cell").first.inner_text())
        for name in COUNTED
    }


def test_numbers_of_an_activation_never_fall_after_a_reload(
    visits: Visits, stack: Stack, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    officer, mark = person("officer"), secrets.token_hex(4)
    page = visits.signed_in(officer, "#/activations")
    lines = [f"{mark}-{number}@example.org,Ann" for number in range(LEADS)]
    page.get_by_label("Leads").fill("\n".join(["email,name", *lines, lines[0], "nobody"]))
    page.get_by_text(f"{LEADS + 1} leads, 1 lines").wait_for()
    page.get_by_role("button", name="Activate", exact=True).click()
    seen = [numbers(page)]
    for turn in range(3):
        page.reload()
        seen.append(numbers(page))
        if turn == 0:
            kill(stack, "mail")
    page.get_by_role("status").filter(has_text="Completed").wait_for(timeout=LONG_MS)
    seen.append(numbers(page))
    for before, after in itertools.pairwise(seen):
        assert all(before[name] <= after[name] for name in COUNTED), seen
    assert seen[-1]["Activated"] + seen[-1]["Skipped"] + seen[-1]["Failed"] == LEADS + 1
    assert seen[-1]["Mails sent"] + seen[-1]["Mails failed"] == seen[-1]["Activated"]
    # The failed lead has its reason.
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_text("address-invalid").first.wait_for()
    assert not violations(page)


def test_a_mailed_link_sets_the_password_by_its_page(
    visits: Visits, stack: Stack, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    officer, email = person("officer").client, f"link-{secrets.token_hex(4)}@example.org"
    json_of(officer.post("/activation", {"leads": [{"email": email}]}), 202)
    eventually(lambda: email in mails(stack))
    (link,) = re.findall(r"#/set-password/\S+", mails(stack)[email])
    page = visits.open(link, size=SMALLEST)
    page.get_by_label("New password").fill("correct horse")
    assert not scrolls_sideways(page)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("heading", name="Your password is set").wait_for()
    assert "hfp_" not in page.url
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Username").fill(email)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Inbox").wait_for(timeout=LONG_MS)
