"""Services with API keys do not notice that MongoDB is gone."""

import os
import signal
from functools import partial

import pytest

from infra.local.processes.mongod import Mongod
from infra.local.stack import Stack
from tests.support.client import Client, refused, together, told
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack


def test_a_key_works_while_mongodb_is_dead_and_a_session_is_told_so(
    stack: Stack, admin: Client, person: NewPerson, mongod: Mongod
) -> None:
    # Given a service whose roles let it make users, with a key
    who = person("service", "admin")
    key = told(admin.post(f"/api/users/{who.username}/keys", {"name": "batch"}), 201)["key"]
    service = Client(stack.url, key)
    told(service.get("/api/users?limit=1"))
    # When
    os.kill(mongod.pid, signal.SIGKILL)
    # Then what needs DynamoDB alone is read and committed, also by many at once
    names = [f"{who.username}-{number}" for number in range(10)]
    new = [{"username": name, "password": "correct horse battery", "roles": ["user"]} for name in names]
    headers = {"Idempotency-Key": "while-it-is-down"}
    made = together([partial(service.post, "/api/users", body) for body in new[1:]])
    assert [answer.status_code for answer in made] == [201] * 9
    first, again = (told(service.post("/api/users", new[0], headers=headers), 201) for _ in range(2))
    assert first == again
    # And a session cannot be looked up, which is told with when to come back
    refused(who.client.get("/api/users?limit=1"), 503)
