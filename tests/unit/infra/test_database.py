"""The database at deployment: marked for its stage, and refused where another stage's data would be used or left."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure

from chalicelib.core.stores import binding
from chalicelib.core.stores.binding import DatabaseRefused, Deployment
from infra.deployment import database, stacks
from infra.deployment.cloudformation import DeployFailed
from infra.deployment.database import Wanted
from infra.host import ports
from infra.local.processes.mongod import Mongod
from tests.unit.conftest import STAGE
from tests.unit.infra.test_stacks import APP, a_package

Client = Callable[[str], Any]
OTHER = Deployment("01OTHER", "other")
OWN = f"holdfast-{STAGE}"


@pytest.fixture
def server(mongod: Mongod) -> Iterator[MongoClient[dict[str, Any]]]:
    """The server, on which no database of this module is."""
    with MongoClient[dict[str, Any]](mongod.uri) as mongo:
        mongo[database.FORMER][binding.COLLECTION].delete_many({})
        yield mongo
        for name in (OWN, "shop"):
            mongo.drop_database(name)
        mongo[database.FORMER][binding.COLLECTION].delete_many({})


def address(server: MongoClient[dict[str, Any]], path: str = "") -> str:
    host, port = server.address or ("", 0)
    return f"mongodb://{host}:{port}/{path}"


def prepare(client: Client, **wanted: Any) -> None:
    database.prepare(client, STAGE, Wanted(**wanted))


def marks(server: MongoClient[dict[str, Any]]) -> dict[str, str]:
    """Return the stage of each database's mark."""
    found: list[Database[dict[str, Any]]] = [server[name] for name in (database.FORMER, OWN, "shop")]
    return {one.name: mark.stage for one in found if (mark := binding.mark_of(one))}


def test_database_of_another_deployment_is_refused_before_any_change(
    client: Client, server: MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    # Given a database that another deployment has marked
    binding.bind(server.shop, OTHER)
    uri = address(server, "shop")
    # When
    with pytest.raises(DeployFailed, match=rf"shop belongs to deployment 01OTHER \(stage other\).*stage {STAGE}"):
        stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={"MONGODB_URI": uri}, aws=True)
    # Then neither database nor functions were changed
    assert server.shop.list_collection_names() == [binding.COLLECTION]
    with pytest.raises(ClientError, match="does not exist"):
        client("cloudformation").describe_stacks(StackName=f"holdfast-{STAGE}-app")


def test_data_of_earlier_releases_is_left_by_name_only(
    client: Client, dynamodb: Any, server: MongoClient[dict[str, Any]]
) -> None:
    # Given the database `holdfast`, where the releases before kept every stage
    with pytest.raises(DatabaseRefused, match=f"(?s)MONGODB_DATABASE=holdfast.*MONGODB_DATABASE={OWN}"):
        prepare(client, uri=address(server))
    assert marks(server) == {}
    # When the operator names a database, either is used
    prepare(client, uri=address(server), named=OWN)
    assert marks(server) == {OWN: STAGE}
    server.drop_database(OWN)
    prepare(client, uri=address(server), named=database.FORMER)
    assert marks(server) == {database.FORMER: STAGE}
    # And the name cannot be forgotten afterwards
    with pytest.raises(DatabaseRefused, match="MONGODB_DATABASE=holdfast"):
        prepare(client, uri=address(server))


def test_former_database_of_another_stage_or_without_rights_is_no_matter(
    client: Client, dynamodb: Any, server: MongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    binding.bind(server[database.FORMER], OTHER)
    prepare(client, uri=address(server))
    assert marks(server) == {database.FORMER: "other", OWN: STAGE}
    # And a user who may not look there
    server.drop_database(OWN)
    server[database.FORMER][binding.COLLECTION].delete_many({})

    def refused(*_: Any, **__: Any) -> None:
        raise OperationFailure("not authorized on holdfast to execute command", 13)

    monkeypatch.setattr(Database, "list_collection_names", refused)
    prepare(client, uri=address(server))
    assert marks(server) == {OWN: STAGE}


def test_database_that_the_stage_declares_for_its_functions_is_marked(
    client: Client, server: MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    # Given the variables of the functions, from .chalice/config.json
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"CodeUri": "code", "Environment": {"Variables": {"MONGODB_DATABASE": "shop"}}},
    }
    package = a_package(tmp_path, Resources={"One": function, **APP["Resources"]})
    # When (moto knows no such function)
    stacks._prepare_database(package, STAGE, client, {}, Wanted())  # without an address nothing is done
    client_with_tables(client)
    stacks._prepare_database(package, STAGE, client, {"MONGODB_URI": address(server)}, Wanted())
    # Then
    assert marks(server) == {"shop": STAGE}


def client_with_tables(client: Client) -> None:
    """Make the one table that a mark needs."""
    client("dynamodb").create_table(
        TableName=f"holdfast-{STAGE}-coordination",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_exclusive_server_is_marked_anew_after_its_tables_were_lost(
    client: Client, dynamodb: Any, server: MongoClient[dict[str, Any]]
) -> None:
    binding.bind(server.shop, OTHER)
    prepare(client, uri=address(server, "shop"), exclusive=True)
    assert marks(server) == {"shop": STAGE}


def test_silent_mongodb_of_the_secret_stops_only_a_first_deployment(
    client: Client,
    dynamodb: Any,
    server: MongoClient[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given an address that functions reach, and this machine does not
    monkeypatch.setattr(database, "_SELECTION_MS", 100)
    silent = f"mongodb://127.0.0.1:{ports.free()}/shop"
    client("secretsmanager").create_secret(Name=OWN, SecretString=f'{{"mongodbUri": "{silent}"}}')
    with pytest.raises(DatabaseRefused, match="Deploy with MONGODB_URI set"):
        prepare(client)
    # And an address of this machine that does not answer
    with pytest.raises(ConnectionFailure):
        prepare(client, uri=silent)
    # When the database was marked by way of another address
    monkeypatch.setattr(database, "_SELECTION_MS", 10_000)
    prepare(client, uri=address(server), named="shop")
    monkeypatch.setattr(database, "_SELECTION_MS", 100)
    prepare(client)
    # Then
    assert "database shop were left as they are" in capsys.readouterr().err
