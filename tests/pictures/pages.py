"""The pages of which pictures are made."""

from typing import NamedTuple


class Page(NamedTuple):
    """A page by its address, and words that the page shows when it is complete. *shown*: in docs/pictures."""

    name: str
    path: str
    shows: str
    shown: bool = False


#: A line for each page. ``{question}`` is the id of the viewer's last question.
PAGES = (
    Page("inbox", "#/inbox", "Babbage & Sons", shown=True),
    Page("approvals", "#/approvals", "Ada Lovelace", shown=True),
    Page("nothing", "#/approvals?username=nobody", "Clear filters"),
    Page("question", "#/approvals/{question}", "Timeline"),
    Page("ask", "#/ask", "Time to answer"),
    Page("try", "#/try", "The phone of", shown=True),
    Page("receiver", "#/receiver", "Answer with"),
    Page("applications", "#/applications", "Grace Hopper", shown=True),
    Page("application", "#/applications/A-2041", "made the application"),
    Page("ledger", "#/ledger", "EUR"),
    Page("queues", "#/queues", "approval"),
    Page("users", "#/users", "payouts"),
    Page("user", "#/users/payouts", "Delete the user"),
    Page("me", "#/me", "this one"),
)
