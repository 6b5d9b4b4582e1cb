"""The cluster and the lines of queues: what is drawn while a page is open."""

import re
from typing import Any

from tests.browser.visits import Visits
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually


def test_cluster_shows_stores_and_the_instances_that_answered(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"))
    heard = set()
    page.on("response", lambda answer: heard.add(answer.headers.get("x-instance-id")))
    page.get_by_role("link", name="Stores").click()
    page.get_by_role("heading", name="Cluster").wait_for()
    for store in ("MongoDB", "DynamoDB"):
        row = page.get_by_role("row").filter(has_text=store)
        row.get_by_text("ok").wait_for()
        row.get_by_role("img", name=f"Latency of {store} in the last ").wait_for()
    instances = page.get_by_role("region", name="Instances")
    listed: list[str] = []

    def complete() -> bool:
        listed[:] = instances.locator("tbody code").all_inner_texts()
        return bool(heard - {None}) and heard - {None} <= set(listed)

    eventually(complete)
    shown = f"Answered by {len(listed)} instance{'' if len(listed) == 1 else 's'} "
    instances.get_by_text(shown).wait_for()


def test_queue_draws_a_line_of_each_poll(visits: Visits, admin: Client, person: NewPerson) -> None:
    page = visits.signed_in(person("admin"), "#/queues")
    line = page.get_by_role("img", name="callback in the last ")
    line.wait_for()
    dead = json_of(admin.get("/api/admin/queue-stats"))["queues"]["callback"]["dead"]
    assert f"dead {dead}" in line.get_attribute("aria-label")
    before = height(page)
    # Given numbers that rise with each poll
    figures = {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "dead": 0}
    polls: list[int] = []

    def answer(route: Any) -> None:
        polls.append(1)
        now = {**figures, "pending": len(polls), "dead": 1}
        route.fulfill(json={**now, "queues": {"callback": now}})

    page.route("**/api/admin/queue-stats", answer)
    page.get_by_role("img", name=re.compile("pending 0 to 3, now 3; dead")).wait_for()
    drawn = line.locator("polyline").first.get_attribute("points").split()
    assert len(drawn) >= 4
    assert height(page) == before


def height(page: Any) -> float:
    """Return the height of the row of the queue of callbacks."""
    return float(page.get_by_role("row").filter(has_text="callback").bounding_box()["height"])
