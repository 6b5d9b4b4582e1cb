"""Sessions, API keys and dead letters end at their moments."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from chalicelib.core.queueing.queues import RETENTION_SECONDS
from infra.local.lab.lab import Lab
from infra.local.stack import Stack
from tests.support.client import Client, json_of, problem_of
from tests.support.stack import PASSWORD, STAGE, NewPerson

pytestmark = pytest.mark.stack

CURRENT = "/api/sessions/current"
_SOON = timedelta(minutes=2)


def test_an_unused_session_ends_after_its_idle_limit(lab: Lab, person: NewPerson) -> None:
    used, unused = person(), person()
    opened = lab.now()
    # Given a use of one session within the limit
    lab.advance_to(opened + timedelta(minutes=58))
    json_of(used.client.get(CURRENT))
    # When the limit of an hour has passed for the other session alone
    lab.advance_to(opened + timedelta(hours=1) + _SOON)
    # Then
    json_of(used.client.get(CURRENT))
    problem_of(unused.client.get(CURRENT), 401)


def test_a_used_session_ends_after_its_absolute_limit(lab: Lab, person: NewPerson) -> None:
    who = person()
    opened = lab.now()
    # Given a session in use for twelve hours
    for use in range(1, 15):
        lab.advance_to(opened + timedelta(minutes=50 * use))
        json_of(who.client.get(CURRENT))
    lab.advance_to(opened + timedelta(hours=12) - _SOON)
    json_of(who.client.get(CURRENT))
    # When the absolute limit has passed
    lab.advance_to(opened + timedelta(hours=12) + _SOON)
    # Then
    problem_of(who.client.get(CURRENT), 401)


def test_an_api_key_ends_at_its_expiry(lab: Lab, stack: Stack, admin: Client) -> None:
    # Given a key for thirty days
    json_of(admin.post("/api/users", {"username": "thirty", "password": PASSWORD, "roles": ["service"]}), 201)
    expires = (lab.now() + timedelta(days=30)).replace(microsecond=0)
    new = {"name": "thirty days", "expiresAt": expires.isoformat().replace("+00:00", "Z")}
    service = Client(stack.url, json_of(admin.post("/api/users/thirty/keys", new), 201)["key"])
    # Then the key serves until its expiry, and no longer
    lab.advance_to(expires - _SOON)
    json_of(service.get("/api/pending-responses"))
    lab.advance_to(expires + timedelta(seconds=1))
    problem_of(service.get("/api/pending-responses"), 401)


def test_a_keyed_call_is_recognised_for_a_day(lab: Lab, person: NewPerson) -> None:
    # Given a request made under a key
    caller = person("service").client
    new = {"username": person().username, "wait": False, "timeoutMs": int(timedelta(days=7).total_seconds() * 1000)}

    def made() -> str:
        return str(
            json_of(caller.post("/send-notification", new, headers={"Idempotency-Key": "day"}), 202)["requestId"]
        )

    began = lab.now()
    first, ended = made(), lab.now()
    # Then a repeat is answered alike until a day has passed, and makes another request afterwards
    lab.advance_to(began + timedelta(days=1) - _SOON)
    assert made() == first
    lab.advance_to(ended + timedelta(days=1) + _SOON)
    assert made() != first


def test_a_dead_letter_is_kept_for_fourteen_days(lab: Lab, stack: Stack, sign_in: Callable[[], Client]) -> None:
    # Given a message that no worker can read
    queue = stack.client("sqs").get_queue_url(QueueName=f"holdfast-{STAGE}-approval")["QueueUrl"]
    body = f"no task, {lab.now()}"
    stack.client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    lab.advance(minutes=1)
    dead_at = lab.now()

    def letters() -> list[str]:
        page = json_of(sign_in().get("/api/admin/queues/approval/dead?limit=200"))
        return [letter["body"] for letter in page["items"]]

    assert body in letters()
    # Then the dead letter is there until its last hour, and is gone afterwards
    assert timedelta(seconds=RETENTION_SECONDS) == timedelta(days=14)
    lab.advance_to(dead_at + timedelta(days=14) - timedelta(hours=1))
    assert body in letters()
    lab.advance_to(dead_at + timedelta(days=14) + _SOON)
    assert body not in letters()
