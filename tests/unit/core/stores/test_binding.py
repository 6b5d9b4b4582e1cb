"""The database of a deployment, and the mark that binds both."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from chalicelib.core.stores import binding, clients
from chalicelib.core.stores.binding import DatabaseRefused, Deployment
from infra.local.processes.mongod import Mongod
from tests.support.concurrency import race
from tests.unit.conftest import STAGE, forget

Mongo = Database[dict[str, Any]]
DEV, PROD = Deployment("01DEV", "dev"), Deployment("01PROD", "prod")


@pytest.fixture
def unmarked(mongodb: Mongo) -> Iterator[Mongo]:
    mongodb[binding.COLLECTION].delete_many({})
    yield mongodb
    mongodb[binding.COLLECTION].delete_many({})


@pytest.mark.parametrize(
    ("path", "named", "chosen"),
    [
        ("/", None, "holdfast-dev"),
        ("/?authSource=admin", None, "holdfast-dev"),
        ("/shop", None, "shop"),
        ("/shop?authSource=admin", None, "shop"),
        ("/shop", "mine", "mine"),
        ("/admin", None, "holdfast-dev"),
    ],
)
def test_database_is_named_by_setting_then_uri_then_stage(path: str, named: str | None, chosen: str) -> None:
    with MongoClient[dict[str, Any]](f"mongodb://nowhere{path}", connect=False) as client:
        assert binding.choose(client, "dev", named).name == chosen


def test_functions_use_the_database_of_the_uri(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"mongodb://127.0.0.1:{mongod.port}"
    for uri, chosen in ((f"{address}/shop", "shop"), (address, f"holdfast-{STAGE}")):
        with monkeypatch.context() as patch:
            clients.mongodb().client.close()
            patch.setenv("MONGODB_URI", uri)
            forget()
            assert clients.mongodb().name == chosen
            clients.mongodb().client.close()
    forget()


def test_deployment_keeps_the_id_of_its_first_call(dynamodb: Any) -> None:
    table = clients.table("coordination")
    found = race([lambda: binding.ensure_deployment(table, STAGE)] * 8)
    assert len(set(found)) == 1
    assert binding.ensure_deployment(table, STAGE) == found[0]


def test_first_of_two_deployments_marks_the_database(unmarked: Mongo) -> None:
    def attempt(number: int) -> str:
        try:
            binding.bind(unmarked, (DEV, PROD)[number % 2])
        except DatabaseRefused as refused:
            return str(refused)
        return ""

    words = [text for text in race([partial(attempt, number) for number in range(8)]) if text]
    winner = binding.mark_of(unmarked)
    loser = PROD if winner == DEV else DEV
    assert len(words) == 4
    assert all(
        str(text).startswith(f"The MongoDB database holdfast belongs to {winner}, and this is {loser}.")
        for text in words
    )


def test_marked_database_is_bound_again_by_its_own_deployment_alone(unmarked: Mongo) -> None:
    binding.bind(unmarked, DEV)
    binding.bind(unmarked, DEV)
    with pytest.raises(DatabaseRefused, match=r"belongs to deployment 01DEV \(stage dev\).*MONGODB_DATABASE"):
        binding.bind(unmarked, PROD)
    assert binding.mark_of(unmarked) == DEV


def test_check_refuses_a_missing_and_a_foreign_mark(bound: Deployment, mongodb: Mongo) -> None:
    table = clients.table("coordination")
    binding.check(mongodb, table, STAGE)
    binding.rebind(mongodb, PROD)
    with pytest.raises(DatabaseRefused, match=rf"belongs to deployment 01PROD.*this is deployment {bound.id}"):
        binding.check(mongodb, table, STAGE)
    mongodb[binding.COLLECTION].delete_many({})
    with pytest.raises(DatabaseRefused, match=f"carries no mark of stage {STAGE}"):
        binding.check(mongodb, table, STAGE)
