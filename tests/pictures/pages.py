"""The pages of which pictures are made."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.pictures import conflict
from tests.pictures.demo import Demo


class Page(NamedTuple):
    """A page by its address, and words that the page shows when it is complete.

    *shown*: in docs/pictures. *before* is done on the page first.
    """

    name: str
    path: str
    shows: str
    shown: bool = False
    before: Callable[[Any, Demo], None] | None = None


def stores_answer(page: Any, _demo: Demo) -> None:
    """Wait until each store has answered."""
    page.locator(".store .state").nth(1).wait_for()


#: A line for each page. ``{question}`` is the id of the viewer's last question, ``{delivery}`` a dead delivery.
PAGES = (
    Page("overview", "#/overview", "in the last 24 hours", shown=True, before=stores_answer),
    Page("inbox", "#/inbox", "Babbage & Sons", shown=True),
    Page("approvals", "#/approvals", "Ada Lovelace", shown=True),
    Page("nothing", "#/approvals?username=nobody", "Clear filters"),
    Page("question", "#/approvals/{question}", "Timeline"),
    Page("ask", "#/ask", "Time to answer"),
    Page("try", "#/try", "Babbage & Sons", shown=True),
    Page("receiver", "#/receiver", "Answer with"),
    Page("applications", "#/applications", "Grace Hopper", shown=True),
    Page("application", "#/applications/A-2041", "made the application"),
    Page("conflict", f"#/{conflict.PATH}", "ben saved version", shown=True, before=conflict.meet),
    Page("ledger", "#/ledger", "EUR"),
    Page("queues", "#/queues", "Completed and failed are exact"),
    Page("webhooks", "#/webhooks", "Orders of the shop"),
    Page("new webhook", "#/webhooks/new", "Make the webhook"),
    Page("webhook", "#/webhooks/{webhook}", "All deliveries of this webhook"),
    Page("recover", "#/webhooks/{webhook}?recover=yes", "would be sent"),
    Page("deliveries", "#/deliveries", "application.approved"),
    Page("delivery", "#/deliveries/{delivery}", "The signature is of this text."),
    Page("cluster", "#/cluster", "The process that answered last."),
    Page("users", "#/users", "payouts"),
    Page("user", "#/users/payouts", "Delete the user"),
    Page("me", "#/me", "this one"),
)
