from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.core.runtime import ids
from tests.support.gateway import ask
from tests.unit.conftest import Printed

Mongo = Database[dict[str, Any]]


def test_health_makes_no_store_round_trip(options: Any, printed: Printed) -> None:
    options(HOLDFAST_VERSION="1.2.3")
    answer = ask("GET", "/health")
    assert answer.status == 200
    assert set(answer.json) == {"status", "version", "instanceId", "uptimeSeconds"}
    assert (answer.json["status"], answer.json["version"], answer.json["instanceId"]) == (
        "ok",
        "1.2.3",
        ids.INSTANCE_ID,
    )
    assert answer.json["uptimeSeconds"] >= 0
    assert printed.lines()[0]["storeRoundTrips"] == 0


@pytest.mark.usefixtures("dynamodb")
def test_readiness_makes_one_round_trip_per_store(mongodb: Mongo, printed: Printed) -> None:
    answer = ask("GET", "/ready")
    assert answer.status == 200
    assert answer.json["status"] == "ready"
    assert set(answer.json["stores"]) >= {"mongodb", "dynamodb"}
    assert all(store["ok"] and store["latencyMs"] > 0 for store in answer.json["stores"].values())
    assert printed.lines()[0]["storeRoundTrips"] == len(answer.json["stores"])


def test_readiness_with_a_missing_table_is_500(aws: None, mongodb: Mongo, printed: Printed) -> None:
    """A missing table is a fault of the deployment, so a retry is no help."""
    answer = ask("GET", "/ready")
    assert answer.status == 500
    assert printed.lines()[0]["level"] == "ERROR"
