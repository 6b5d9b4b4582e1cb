"""Deployment through moto's CloudFormation, without SAM, secrets and alarms, which moto lacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto.cloudformation.models import cloudformation_backends
from pymongo import MongoClient

from chalicelib import slices
from chalicelib.core.stores import binding
from infra.deployment import cloudformation, stacks, template
from infra.deployment.cloudformation import DeployFailed
from infra.deployment.package import Package
from infra.local.processes.mongod import Mongod
from tests.unit.conftest import STAGE, resources

Client = Callable[[str], Any]
#: An app stack without functions, which moto can make.
APP: dict[str, Any] = {
    "Parameters": {"Stage": {"Type": "String"}},
    "Resources": {"Any": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "any-${Stage}"}}}},
    "Outputs": {"EndpointURL": {"Value": "https://abc.example/api/"}},
}


def a_package(tmp_path: Path, **changes: Any) -> Package:
    code = tmp_path / "deployment.zip"
    code.write_bytes(b"code")
    data = template.resources()
    known = {"AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SNS::Topic"}
    data["Resources"] = {name: one for name, one in data["Resources"].items() if one["Type"] in known}
    return Package(code, data, {**APP, **changes}, [], None)


def test_a_deployment_makes_both_stacks_and_may_be_repeated(client: Client, tmp_path: Path) -> None:
    # When
    first, again = (stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True) for _ in range(2))
    # Then
    assert first == again
    assert first.api_url == "https://abc.example/api"
    stored = client("s3").list_objects_v2(Bucket=first.outputs["PackagesBucket"])["Contents"]
    assert sorted(item["Key"].rpartition(".")[2] for item in stored) == ["json", "zip"]
    names = {stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]}
    assert names == {f"holdfast-{STAGE}-data", f"holdfast-{STAGE}-app"}


def test_the_deployed_tables_equal_the_tables_of_the_tests(client: Client, tmp_path: Path) -> None:
    # When
    stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    # Then
    for resource in resources()["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            wanted = resource["Properties"]
            found = client("dynamodb").describe_table(TableName=wanted["TableName"])["Table"]
            assert found["KeySchema"] == wanted["KeySchema"]
            assert _indexes(found) == _indexes(wanted)
            stream = found.get("StreamSpecification", {})
            assert stream.get("StreamViewType") == wanted.get("StreamSpecification", {}).get("StreamViewType")


def _indexes(table: dict[str, Any]) -> dict[str, Any]:
    return {index["IndexName"]: index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", [])}


def test_a_changed_app_is_updated_and_data_is_kept(client: Client, tmp_path: Path) -> None:
    # Given
    stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    table = f"holdfast-{STAGE}-users"
    client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "user#ann"}})
    # When
    changed = a_package(tmp_path, Outputs={"EndpointURL": {"Value": "https://new.example/api/"}})
    deployed = stacks.deploy(changed, STAGE, client=client, variables={}, aws=True)
    # Then
    assert deployed.api_url == "https://new.example/api"
    assert client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "user#ann"}})["Item"]


def test_the_app_stack_gets_the_outputs_that_it_declares(client: Client, tmp_path: Path) -> None:
    # Given an app stack with the stream as its only parameter beside the stage
    asks = {"Parameters": {**APP["Parameters"], "RecordsStream": {"Type": "String"}}}
    says = {"Outputs": {**APP["Outputs"], "Told": {"Value": {"Ref": "RecordsStream"}}}}
    sent: dict[str, list[str]] = {}

    def note(params: dict[str, Any], **_: Any) -> None:
        sent[params["StackName"]] = [parameter["ParameterKey"] for parameter in params["Parameters"]]

    client("cloudformation").meta.events.register("before-parameter-build.cloudformation.CreateStack", note)
    # When
    deployed = stacks.deploy(a_package(tmp_path, **asks, **says), STAGE, client=client, variables={}, aws=True)
    # Then
    (stream,) = client("dynamodbstreams").list_streams(TableName=f"holdfast-{STAGE}-records")["Streams"]
    assert deployed.outputs["Told"] == deployed.outputs["RecordsStream"] == stream["StreamArn"]
    # And no further parameter, which CloudFormation would refuse
    assert sent == {f"holdfast-{STAGE}-data": ["Stage"], f"holdfast-{STAGE}-app": ["Stage", "RecordsStream"]}


def test_functions_get_their_code_and_environment(tmp_path: Path) -> None:
    # Given
    function: dict[str, Any] = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"CodeUri": "./deployment.zip", "Environment": {"Variables": {"A": "1"}}},
    }
    package = a_package(tmp_path, Resources={"One": function, **APP["Resources"]})
    # When
    pointed = stacks._pointed(package, "bucket", "key.zip", {"B": "2"})
    # Then
    properties = pointed["Resources"]["One"]["Properties"]
    assert properties["CodeUri"] == {"Bucket": "bucket", "Key": "key.zip"}
    assert properties["Environment"]["Variables"] == {"A": "1", "B": "2"}
    assert function["Properties"]["Environment"] == {"Variables": {"A": "1"}}


def test_a_refused_template_is_reported_with_its_stack(client: Client, tmp_path: Path) -> None:
    broken = a_package(tmp_path, Parameters={"Stage": {"Type": "String"}, "NobodySetsThis": {"Type": "String"}})
    with pytest.raises(DeployFailed, match=rf"(?s)holdfast-{STAGE}-app.*NobodySetsThis"):
        stacks.deploy(broken, STAGE, client=client, variables={}, aws=True)


def test_a_stack_with_a_failed_creation_is_recreated(client: Client, tmp_path: Path) -> None:
    # Given
    stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    stack = _stack(f"holdfast-{STAGE}-app")
    stack.status = "ROLLBACK_COMPLETE"
    # When
    deployed = stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    # Then
    assert deployed.api_url == "https://abc.example/api"
    assert _stack(f"holdfast-{STAGE}-app").stack_id != stack.stack_id


def test_a_stack_that_settles_in_a_failure_is_raised(client: Client, tmp_path: Path) -> None:
    stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={}, aws=True)
    _stack(f"holdfast-{STAGE}-app").status = "UPDATE_ROLLBACK_COMPLETE"
    with pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        cloudformation.settled(client("cloudformation"), f"holdfast-{STAGE}-app")


def _stack(name: str) -> Any:
    (found,) = [
        stack for stack in cloudformation_backends["123456789012"]["us-east-1"].stacks.values() if stack.name == name
    ]
    return found


def test_indexes_are_made_with_the_deployment(client: Client, tmp_path: Path, mongod: Mongod) -> None:
    # Given
    uri = mongod.uri
    with MongoClient[dict[str, Any]](uri) as mongo:
        mongo.get_default_database().approvals.drop_indexes()
        mongo.get_default_database()[binding.COLLECTION].delete_many({})
        # When
        for _ in range(2):
            stacks.deploy(a_package(tmp_path), STAGE, client=client, variables={"MONGODB_URI": uri}, aws=True)
        # Then
        for collection, wanted in slices.indexes().items():
            made = set(mongo.get_default_database()[collection].index_information())
            assert made == {"_id_", *(index.document["name"] for index in wanted)}
