"""Parameters of the templates: a VPC, tracing and the retention of logs; and the limits of the account."""

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from infra.deployment import packages, parameters, quotas, template
from infra.operations.failures import CommandFailed
from tests.unit.infra.build import Built

Template = dict[str, Any]


def of_kind(made: Template, kind: str) -> dict[str, Template]:
    return {name: one for name, one in made["Resources"].items() if one["Type"] == kind}


def test_every_function_takes_subnets_and_security_groups(built: Built) -> None:
    functions, roles = (of_kind(built.package.app, f"AWS::{kind}") for kind in ("Serverless::Function", "IAM::Role"))
    for function in functions.values():
        condition, network, otherwise = function["Properties"]["VpcConfig"]["Fn::If"]
        assert (condition, otherwise) == ("InVpc", {"Ref": "AWS::NoValue"})
        assert set(network) == {"SubnetIds", "SecurityGroupIds"}
        assert function["Properties"]["Tracing"] == {"Ref": "Tracing"}
    for role in roles.values():
        rights = [one["Fn::If"][:2] for one in role["Properties"]["ManagedPolicyArns"]]
        assert rights == [["InVpc", {"Ref": "NetworkPolicy"}], ["Traced", {"Ref": "TracingPolicy"}]]


def test_rights_of_a_network_exist_with_subnets_only(built: Built) -> None:
    policy = built.package.app["Resources"]["NetworkPolicy"]
    assert policy["Condition"] == "InVpc"
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert "ec2:CreateNetworkInterface" in statement["Action"]


def test_every_function_has_a_log_group_with_the_retention(built: Built) -> None:
    groups = of_kind(built.package.data, "AWS::Logs::LogGroup").values()
    functions = of_kind(built.package.app, "AWS::Serverless::Function").values()
    assert {group["Properties"]["LogGroupName"]["Fn::Sub"] for group in groups} == {
        "/holdfast/${Stage}/access",
        *(f"/aws/lambda/{function['Properties']['FunctionName']['Fn::Sub']}" for function in functions),
    }
    assert {group["Properties"]["RetentionInDays"]["Ref"] for group in groups} == {"LogRetentionDays"}
    assert "LogRetentionDays" in built.package.data["Parameters"]


def test_role_names_no_secret_of_a_longer_stage(built: Built) -> None:
    text = template.minified(built.package.app)
    assert "secret:holdfast-${Stage}-??????" in text
    assert "secret:holdfast-${Stage}-*" not in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"Subnets": "subnet-1"}, "name Subnets. The known parameters are"),
        ({"LogRetentionDays": 31}, "set LogRetentionDays to 31; allowed are 1, 3"),
        ({"Tracing": True}, "neither text nor a number"),
        ({"SubnetIds": "subnet-1"}, "SubnetIds and SecurityGroupIds together"),
    ],
    ids=["unknown", "not allowed", "no text", "half a network"],
)
def test_wrong_parameter_of_a_stage_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandFailed, match=said):
        parameters.checked(values, "prod")


def test_parameters_are_passed_to_the_template_that_has_them(built: Built) -> None:
    given = parameters.checked({"LogRetentionDays": 90, "SubnetIds": "a,b", "SecurityGroupIds": "c"}, "prod")
    assert parameters.of(given, built.package.data) == {"LogRetentionDays": "90"}
    assert parameters.of(given, built.package.app) == {"SubnetIds": "a,b", "SecurityGroupIds": "c"}


# --- limits of the account


@pytest.mark.parametrize(
    ("limit", "places", "fits"), [(10, "", False), (10, "2", True), (68, "", True), (67, "", False)]
)
def test_waiting_callers_must_fit_into_the_accounts_limit(*, limit: int, places: str, fits: bool) -> None:
    session = botocore.session.get_session()
    client = session.create_client("lambda", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_response("get_account_settings", {"AccountLimit": {"UnreservedConcurrentExecutions": limit}})
        if fits:
            quotas.check_concurrency(client, {"WAITING_PLACES": places})
            return
        with pytest.raises(CommandFailed, match=rf"runs {limit} functions .*L-B99A9384"):
            quotas.check_concurrency(client, {"WAITING_PLACES": places})


# --- old packages


def test_package_of_the_running_version_is_kept(client: Any) -> None:
    # Given
    s3 = client("s3")
    s3.create_bucket(Bucket="packages")
    running = packages.upload(s3, "packages", b"running", "zip")
    for number in range(2 * packages.KEPT):
        packages.upload(s3, "packages", b"%d" % number, "zip")
    described = packages.upload(s3, "packages", b"a template", "json")
    # When
    packages.prune(s3, "packages", {running})
    # Then as many as promised are kept, and each that is used
    kept = {item["Key"] for item in s3.list_objects_v2(Bucket="packages")["Contents"]}
    assert {running, described} <= kept
    assert packages.KEPT + 1 <= len(kept) <= packages.KEPT + 2


def test_no_package_expires_by_age(built: Built) -> None:
    assert "LifecycleConfiguration" not in built.package.data["Resources"]["Packages"]["Properties"]
