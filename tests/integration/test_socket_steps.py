"""Random steps of connections: each open one gets each event once, and closed ones are forgotten."""

import random
from typing import Any

import pytest
from pymongo.database import Database

from tests.support.stack import NewPerson
from tests.support.workloads.sockets import running

pytestmark = pytest.mark.stack


def test_open_connections_get_each_event_once(person: NewPerson, database: Database[dict[str, Any]]) -> None:
    rng = random.Random(3)
    with running(person("service").client, person(), database) as workload:
        workload.open(rng)
        for _ in range(25):
            workload.act(rng)
        workload.open(rng)
        workload.ask(rng)
        assert workload.check() >= 1
