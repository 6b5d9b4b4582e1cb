"""The parameters of the two templates, and the values that a stage sets in ``.chalice/config.json``.

Values stand under ``parameters`` of the stage, as text. A parameter without a value has the default, which is right for
a laptop and for a first deployment. The conditions compare a parameter with a constant and do nothing else, because an
emulator evaluates no further function.
"""

import json
from collections.abc import Mapping
from typing import Any

from infra.environment import ROOT
from infra.operations.failures import CommandFailed

Template = dict[str, Any]

#: Numbers of days that CloudWatch Logs takes, of those that make sense here.
_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653]

#: The parameters of the data template that a stage may set.
DATA: Template = {
    "LogRetentionDays": {
        "Type": "Number",
        "Default": 30,
        "AllowedValues": _DAYS,
        "Description": "Days for which the logs of functions are kept",
    },
    "AlarmEmail": {
        "Type": "String",
        "Default": "",
        "Description": "An address that gets a mail when an alarm goes off or ends, after a click in a first mail",
    },
}
#: The parameters of the app template that a stage may set.
APP: Template = {
    "SubnetIds": {
        "Type": "String",
        "Default": "",
        "Description": "Subnets of the functions, separated by commas; empty: functions run outside a VPC",
    },
    "SecurityGroupIds": {
        "Type": "String",
        "Default": "",
        "Description": "Security groups of the functions, separated by commas; needed with SubnetIds",
    },
    "Tracing": {
        "Type": "String",
        "Default": "PassThrough",
        "AllowedValues": ["PassThrough", "Active"],
        "Description": "Active: functions and gateway send traces to X-Ray",
    },
    "AccessLogs": {
        "Type": "String",
        "Default": "Off",
        "AllowedValues": ["Off", "On"],
        "Description": "On: both gateways log each call; the account needs a role for API Gateway's logs",
    },
    "MailIdentity": {
        "Type": "String",
        "Default": "",
        "Description": "The verified domain or address of SES that mails are sent from; empty: any of the account",
    },
    "CallsPerSecond": {
        "Type": "Number",
        "Default": 1000,
        "Description": "Calls a second that each gateway passes, of all callers together; others get 429",
    },
    "CallBurst": {
        "Type": "Number",
        "Default": 2000,
        "Description": "Calls that each gateway passes at a moment",
    },
}
#: The conditions of the app template.
CONDITIONS: Template = {
    "InVpc": {"Fn::Not": [{"Fn::Equals": [{"Ref": "SubnetIds"}, ""]}]},
    "Traced": {"Fn::Equals": [{"Ref": "Tracing"}, "Active"]},
    "Logged": {"Fn::Equals": [{"Ref": "AccessLogs"}, "On"]},
    "SenderNamed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "MailIdentity"}, ""]}]},
}
#: The parameter that `scripts/deploy` sets after the creation: a protected table would stop the rollback of a creation.
PROTECTED = "Protected"
_NOTHING = {"Ref": "AWS::NoValue"}
#: Lambda manages a function's network interfaces by the function's role. No interface has a name before it exists.
_NETWORK_RIGHTS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
_TRACING_RIGHTS = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]


def protect(template: Template) -> None:
    """Add conditions to the data *template*, and deletion protection to its tables."""
    template["Parameters"][PROTECTED] = {"Type": "String", "Default": "No", "AllowedValues": ["No", "Yes"]}
    template["Conditions"] = {
        "Mailed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]},
        "Guarded": {"Fn::Equals": [{"Ref": PROTECTED}, "Yes"]},
    }
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            resource["Properties"]["DeletionProtectionEnabled"] = {"Fn::If": ["Guarded", True, False]}


def add(template: Template) -> None:
    """Add parameters, conditions and the resources that follow to the app *template*, which has functions and roles."""
    template["Parameters"] |= APP
    template["Conditions"] = CONDITIONS
    resources = template["Resources"]
    resources |= {
        "NetworkPolicy": _rights("InVpc", "Lets functions have network interfaces in a VPC", _NETWORK_RIGHTS),
        "TracingPolicy": _rights("Traced", "Lets functions send traces to X-Ray", _TRACING_RIGHTS),
    }
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["Tracing"] = {"Ref": "Tracing"}
            resource["Properties"]["VpcConfig"] = {"Fn::If": ["InVpc", _network(), _NOTHING]}
        if resource["Type"] == "AWS::IAM::Role":
            # The reference makes CloudFormation grant the rights before a function uses the role.
            resource["Properties"]["ManagedPolicyArns"] = [
                {"Fn::If": ["InVpc", {"Ref": "NetworkPolicy"}, _NOTHING]},
                {"Fn::If": ["Traced", {"Ref": "TracingPolicy"}, _NOTHING]},
            ]
    resources["RestAPI"]["Properties"]["TracingEnabled"] = {"Fn::If": ["Traced", True, False]}


def variables(stage: str) -> dict[str, str]:
    """Return the environment variables that *stage* sets in ``.chalice/config.json`` for every function."""
    config = json.loads((ROOT / ".chalice/config.json").read_text())
    sources = config, config["stages"].get(stage, {})
    return {name: value for source in sources for name, value in source.get("environment_variables", {}).items()}


def given(stage: str) -> dict[str, str]:
    """Return the values that *stage* sets in ``.chalice/config.json``.

    Raises:
        CommandFailed: a name is no parameter, a value is no text or number, or subnets and security groups are not
            given together.
    """
    config = json.loads((ROOT / ".chalice/config.json").read_text())
    return checked(config["stages"].get(stage, {}).get("parameters", {}), stage)


def checked(values: Mapping[str, Any], stage: str) -> dict[str, str]:
    """Return *values* as text.

    Raises:
        CommandFailed: see `given`.
    """
    place, known = f"parameters of the stage {stage} in .chalice/config.json", {**DATA, **APP}
    for name, value in values.items():
        if name not in known:
            raise CommandFailed(f"The {place} name {name}. The known parameters are {', '.join(sorted(known))}.")
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise CommandFailed(f"The {place} give {name} a value that is neither text nor a number.")
        allowed = [str(one) for one in known[name].get("AllowedValues", [str(value)])]
        if str(value) not in allowed:
            raise CommandFailed(f"The {place} set {name} to {value}; allowed are {', '.join(allowed)}.")
    if bool(values.get("SubnetIds")) != bool(values.get("SecurityGroupIds")):
        raise CommandFailed(f"The {place} must set SubnetIds and SecurityGroupIds together, or neither.")
    return {name: str(value) for name, value in values.items()}


def of(values: Mapping[str, str], template: Template) -> dict[str, str]:
    """Return the *values* that *template* has parameters for; CloudFormation refuses all others."""
    return {name: value for name, value in values.items() if name in template.get("Parameters", {})}


def _network() -> Template:
    return {name: {"Fn::Split": [",", {"Ref": name}]} for name in ("SubnetIds", "SecurityGroupIds")}


def _rights(condition: str, description: str, actions: list[str]) -> Template:
    statement = {"Effect": "Allow", "Action": actions, "Resource": ["*"]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Condition": condition,
        "Properties": {"Description": description, "PolicyDocument": document},
    }
