"""A message between users is stored once and reaches a joined device at least once, also when functions die on the way.

Shown by killing the functions that store and push, right after a message was stored.
"""

import random
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.kill import kill_at_change
from tests.support.stack import NewPerson
from tests.support.workloads.messages import running

pytestmark = pytest.mark.stack

_STORED = {"operationType": "insert"}


def test_messages_reach_their_receiver_whichever_function_dies(
    stack: Stack, person: NewPerson, database: Database[dict[str, Any]], figure: Figure
) -> None:
    kills, rng = times(20), random.Random(1)
    with running(person(), person(), database) as workload:
        for number in range(kills):
            for _ in range(4):
                workload.act(rng)
            function, send = (("api", workload.post), ("message", workload.frame))[number % 2]
            kill_at_change(stack, function, database.messages, _STORED, partial(send, rng))
        messages = workload.check()
    figure("functions killed before a push of a message", f"{kills}; {messages} messages, all received")
