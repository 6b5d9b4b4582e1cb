"""A question on two devices of a person: the answer on one settles the other by the WebSocket, before any poll."""

from typing import Any

from pymongo.database import Database

from tests.browser.visits import PHONE, Visits, asked
from tests.support.client import Client
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

#: Two seconds on a machine of its own; functions of a busy machine start slowly.
SOON_MS = 15_000


def test_answer_on_one_device_settles_the_other_without_a_poll(
    visits: Visits, admin: Client, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    ann = person()
    phone, laptop = visits.signed_in(ann, "#/inbox", size=PHONE), visits.signed_in(ann, "#/inbox")
    mine = {"username": ann.username, "opened": True}
    eventually(lambda: database.connections.count_documents(mine) == 2)
    asked(admin, ann.username, "Pay 120.00 EUR?")
    for page in (phone, laptop):
        page.get_by_role("heading", name="Pay 120.00 EUR?").wait_for(timeout=SOON_MS)
    # Given a laptop without input for six minutes, which has just asked, and asks again after 30 s
    laptop.clock.install()
    with laptop.expect_response("**/api/pending-responses?*"):
        laptop.clock.fast_forward("06:00")
    with phone.expect_response("**/resolve"):
        phone.get_by_role("button", name="Approve").click()
    # Then
    settled = laptop.get_by_role("region", name="Settled just now")
    settled.get_by_text("Answered elsewhere, by you: approve").wait_for(timeout=SOON_MS)
    assert laptop.get_by_role("button", name="Approve").count() == 0
