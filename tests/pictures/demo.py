"""People, applications and questions to show, made by calls; the questions are then set back in time past the API."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pymongo import MongoClient

from infra.local.processes.mongod import DATABASE
from infra.local.stack import Stack
from tests.support.client import Client, Person, json_of
from tests.support.receiver import receiving
from tests.support.stack import PASSWORD
from tests.support.waiting import eventually

#: The person whose console the pictures show.
VIEWER = "ann"
_ROLES = {VIEWER: "admin", "ben": "officer", "cleo": "officer", "payouts": "service", "releases": "service"}
_MINUTE_MS = 60_000


class Question(NamedTuple):
    """A question, and how long ago *caller* asked."""

    caller: str
    body: dict[str, Any]
    #: Who answers what; the caller cancels.
    answers: Sequence[tuple[str, str]]
    age_minutes: int


#: In order of time. The open questions of the viewer come last.
QUESTIONS = (
    Question(
        "payouts",
        {"username": VIEWER, "title": "Pay 1,200.00 EUR to Ada Lovelace?", "timeoutMs": 60 * _MINUTE_MS},
        [(VIEWER, "approve")],
        261,
    ),
    Question(
        "releases",
        {
            "username": "ben",
            "title": "Release 4.2.0 to production?",
            "approvers": ["cleo"],
            "required": 2,
            "timeoutMs": 60 * _MINUTE_MS,
        },
        [("ben", "approve"), ("cleo", "approve")],
        166,
    ),
    Question(
        "payouts",
        {"username": "cleo", "title": "Refund order 5567 in full?", "timeoutMs": 15 * _MINUTE_MS},
        [],
        96,
    ),
    Question(
        "payouts",
        {"username": "ben", "title": "Unlock the account of grace@example.org?", "timeoutMs": 60 * _MINUTE_MS},
        [("ben", "reject")],
        51,
    ),
    Question(
        "releases",
        {"username": "cleo", "title": "Roll 4.2.0 back in eu-west-1?", "timeoutMs": 60 * _MINUTE_MS},
        [("releases", "cancel")],
        29,
    ),
    Question(
        "payouts",
        {
            "username": VIEWER,
            "title": "Raise the limit of card A-2041 to 5,000.00 EUR?",
            "approvers": ["ben"],
            "required": 2,
            "timeoutMs": 120 * _MINUTE_MS,
        },
        [("ben", "approve")],
        15,
    ),
    Question(
        "releases",
        {"username": "ben", "title": "Import 12,480 leads again?", "timeoutMs": 60 * _MINUTE_MS},
        [],
        6,
    ),
    Question(
        "payouts",
        {
            "username": VIEWER,
            "title": "Pay 8,450.00 EUR to Babbage & Sons?",
            "body": "The amount is above the limit of 5,000.00 EUR for one person.",
            "data": {"invoice": "2026-0417", "due": "30 November 2026", "account": "IT60 X054 2811 1010"},
            "timeoutMs": 15 * _MINUTE_MS,
        },
        [],
        1,
    ),
)


#: Applications by id: name, amount, months, and the moves that follow the submission.
APPLICATIONS = {
    "A-2037": ("Hedy Lamarr", 640_000, 36, []),
    "A-2038": ("Emmy Noether", 2_500_000, 60, ["rejected"]),
    "A-2039": ("Katherine Johnson", 1_800_000, 48, ["approved", "disburse"]),
    "A-2040": ("Mary Jackson", 310_050, 12, ["review", "approved"]),
    "A-2041": ("Ada Lovelace", 1_200_000, 24, ["review"]),
    "A-2042": ("Grace Hopper", 845_000, 36, []),
}


#: Callbacks, by the status of their receiver: the first is delivered, the second given up, the rest is retried.
CALLBACKS = (204, 410, 503, 503, 503)


#: Webhooks, by the path of their receiver: events, description, and the status that the receiver answers.
WEBHOOKS = {
    "orders": (["application.approved", "application.rejected"], "Orders of the shop", 204),
    "archive": (["*"], "Archive", 503),
    "scores": (["application.created", "application.approved"], "Scores", 400),
}


class Demo(NamedTuple):
    """The person whose console is shown, an officer's client, and ids: a question, a webhook, a dead delivery."""

    viewer: Person
    officer: Client
    question: str
    webhook: str
    delivery: str


def fill(stack: Stack) -> Demo:
    """Make people, and let them ask and answer."""
    admin = _signed_in(stack, "admin", stack.admin_password or "")
    for username, role in _ROLES.items():
        json_of(admin.post("/api/users", {"username": username, "password": PASSWORD, "roles": [role]}), 201)
    callers = {username: _signed_in(stack, username) for username in _ROLES}
    webhook, delivery = _hook(callers)
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        for request in _call_back(callers):
            _set_back(client, request, 300 * _MINUTE_MS)
        for question in QUESTIONS:
            request = _put(callers, question)
            _set_back(client, request, question.age_minutes * _MINUTE_MS)
    return Demo(Person(VIEWER, PASSWORD, callers[VIEWER]), callers["ben"], request, webhook, delivery)


def _hook(callers: Mapping[str, Client]) -> tuple[str, str]:
    """Make webhooks, then the applications; return the ids of a webhook and of one of its dead deliveries."""
    viewer = callers[VIEWER]
    with receiving() as receiver:
        receiver.answer = lambda got: (WEBHOOKS[got.path.strip("/")][2], {})
        for path, (events, description, _) in WEBHOOKS.items():
            new = {"url": f"{receiver.url}/{path}", "events": events, "description": description}
            webhook = str(json_of(viewer.post("/api/webhooks", new), 201)["webhookId"])
        for application_id in APPLICATIONS:
            _apply(callers["ben"], viewer, application_id)
        found = eventually(
            lambda: json_of(viewer.get(f"/api/deliveries?status=dead&webhookId={webhook}&limit=1"))["items"]
        )
        eventually(lambda: len({got.path for got in receiver.received}) == len(WEBHOOKS))
    return webhook, str(found[0]["deliveryId"])


def _apply(officer: Client, payer: Client, application_id: str) -> None:
    """Make an application and move it on."""
    name, amount, months, moves = APPLICATIONS[application_id]
    email = f"{name.partition(' ')[0].lower()}@example.org"
    terms = {"amountMinor": amount, "currency": "EUR", "termMonths": months, "status": "submitted"}
    new = {"applicationId": application_id, "applicantName": name, "email": email, **terms}
    json_of(officer.post("/api/applications", new), 201)
    path = f"/api/applications/{application_id}"
    for version, status in enumerate(moves, 1):
        if status == "disburse":
            json_of(payer.post(f"{path}/disburse"))
        else:
            json_of(officer.call("PUT", path, {"status": status, "version": version}))


def _call_back(callers: Mapping[str, Client]) -> list[str]:
    """Let answers be called back, and return the ids of the requests as soon as each callback had an attempt."""
    requests = []
    with receiving() as receiver:
        receiver.answer = lambda got: (int(got.path.strip("/")), {})
        for number, status in enumerate(CALLBACKS, 5561):
            question = {"username": "cleo", "title": f"Ship order {number}?", "timeoutMs": 60 * _MINUTE_MS}
            url = f"{receiver.url}/{status}"
            requests.append(
                _put(callers, Question("releases", {**question, "callbackUrl": url}, [("cleo", "approve")], 0))
            )
        eventually(lambda: len({got.event["id"] for got in receiver.received}) == len(CALLBACKS))
    return requests


def _put(callers: Mapping[str, Client], question: Question) -> str:
    """Ask, answer, and return the request's id."""
    caller = callers[question.caller]
    made = json_of(caller.post("/send-notification", {**question.body, "wait": False}), 202)
    path = f"/api/pending-responses/{made['requestId']}"
    for username, action in question.answers:
        if action == "cancel":
            json_of(caller.post(f"{path}/cancel"))
        else:
            json_of(callers[username].post(f"{path}/resolve", {"action": action}))
    return str(made["requestId"])


def _set_back(client: MongoClient[dict[str, Any]], request: str, age_ms: int) -> None:
    def earlier(moment: str) -> dict[str, Any]:
        return {"$subtract": [moment, age_ms]}

    moments = {name: earlier(f"${name}") for name in ("createdAt", "expiresAt", "resolvedAt")}
    answers = {"$map": {"input": "$answers", "in": {"$mergeObjects": ["$$this", {"at": earlier("$$this.at")}]}}}
    done = client[DATABASE]["approvals"].update_one({"_id": request}, [{"$set": {**moments, "answers": answers}}])
    assert done.modified_count == 1, request


def _signed_in(stack: Stack, username: str, password: str = PASSWORD) -> Client:
    return Client(stack.url).signed_in(username, password)
