"""The demonstration on a laptop: a caller and a phone side by side."""

import json
from typing import Any

from tests.browser.visits import REFUSED, Visits
from tests.support.stack import NewPerson


def test_caller_hears_what_the_phone_answers(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("officer"))
    page.get_by_role("link", name="Try it").click()
    with page.expect_response("**/send-notification") as heard, page.expect_response("**/resolve") as answered:
        page.get_by_role("button", name="Ask and wait", exact=True).click()
        page.get_by_role("region", name="The caller").get_by_text("waits for the answer").wait_for()
        page.get_by_role("region", name="The phone").get_by_role("button", name="Approve").click()
    page.get_by_role("region", name="The caller").get_by_text("approve").wait_for()
    # The story names the instances of the two calls.
    caller, phone = (each.value.headers["x-instance-id"] for each in (heard, answered))
    steps = page.get_by_role("region", name="The story").get_by_role("listitem")
    steps.first.wait_for()
    assert caller != phone
    assert [name in steps.nth(step).inner_text() for step, name in enumerate((caller, phone, caller))] == [True] * 3


def test_caller_polls_when_the_api_cannot_hold_the_call(visits: Visits, person: NewPerson) -> None:
    visits.expect(REFUSED)
    page = visits.signed_in(person("officer"), "#/try")
    refusals = {"POST": _Refused("no-place-to-wait"), "GET": _Refused("unavailable")}
    page.route("**/send-notification", refusals["POST"].first)
    page.route("**/api/pending-responses/*", refusals["GET"].first)
    page.get_by_role("button", name="Ask and wait", exact=True).click()
    page.get_by_role("region", name="The caller").get_by_text("asks again every 2 s").wait_for()
    page.get_by_role("region", name="The phone").get_by_role("button", name="Reject").click()
    page.get_by_role("region", name="The caller").get_by_text("reject").wait_for()
    assert [each.calls > 1 for each in refusals.values()] == [True, True]
    page.get_by_role("region", name="The story").get_by_text("took the answer reject").wait_for()


def test_demonstration_is_absent_beyond_a_laptop(visits: Visits, person: NewPerson) -> None:
    page = visits.signed_in(person("officer"), "#/try")
    page.get_by_role("heading", name="Try it").wait_for()
    config = {"stage": "prod", "version": "1", "console": "000000000000"}
    page.route("**/config.json", lambda route: route.fulfill(json=config))
    page.reload()
    page.get_by_role("heading", name="No such page").wait_for()
    assert page.get_by_role("link", name="Try it").count() == 0


class _Refused:
    """Refuses the first call as a busy API does, and lets the others pass."""

    def __init__(self, code: str) -> None:
        self.calls, self._code = 0, code

    def first(self, route: Any) -> None:
        self.calls += 1
        if self.calls > 1:
            route.continue_()
            return
        problem = {"code": self._code, "status": 503, "title": "Busy", "detail": "Too many callers wait just now."}
        headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
        route.fulfill(status=503, headers=headers, body=json.dumps(problem))
