"""A committed write always reaches its webhooks, also when functions die on the way.

Shown by killing the functions that project, that make deliveries and that send. tests/faults/test_webhooks.py adds
load, failing endpoints and outages.
"""

import random
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.records.view import collection_of
from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client
from tests.support.kill import kill_at_change
from tests.support.records import KIND
from tests.support.workloads.webhooks import running

pytestmark = pytest.mark.stack

#: The function that is killed, the collection whose change is the moment, and the change.
_STEPS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("project", collection_of(KIND), {"operationType": "insert"}),
    ("event", "deliveries", {"operationType": "insert"}),
    ("webhook", "deliveries", {"updateDescription.updatedFields.status": "in-flight"}),
)


def test_writes_reach_their_webhook_whichever_function_dies(
    stack: Stack, admin: Client, database: Database[dict[str, Any]], figure: Figure
) -> None:
    kills, rng = times(60), random.Random(1)
    with running(admin, database, [{"events": ["application.*"]}]) as workload:
        for number in range(kills):
            function, collection, change = _STEPS[number % len(_STEPS)]
            make = partial(workload.make, rng)
            killed = kill_at_change(stack, function, database[collection], change, make)
            workload.lost_answers += killed if function == "webhook" else 0
        deliveries = workload.check()
    figure("functions killed before a webhook", f"{kills}; {deliveries} deliveries, {workload.repeated} taken again")
