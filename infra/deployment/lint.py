"""``scripts/check``: cfn-lint on both templates and on the expanded one, and parliament on every policy.

The app template is expanded by SAM's own translator, as CloudFormation does. A finding that is none stands in
`EXCUSED`, with its reason, and nowhere else; an excuse that excuses nothing any more is a fault too.
"""

import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from infra import environment
from infra.deployment import package, policies
from infra.environment import ROOT
from infra.operations.failures import CommandFailed

Template = dict[str, Any]

_STAGE = "prod"
#: False positives: the tool's code of a finding, a part of its place or text, and the reason.
EXCUSED = {
    ("W1020", "PushLayer"): "SAM's translator fills the stage into a layer's properties, and leaves the substitution",
    ("W1033", "Fn::Split"): "no subnets where the condition is false; cfn-lint splits the empty text all the same",
    ("INVALID_ARN", "deployer/ServerlessTransform"): "the transform belongs to AWS, whose account is called aws",
    (
        "RESOURCE_MISMATCH",
        "dynamodb:ListStreams",
    ): "SAM's own policy grants this right for a table's streams",
    (
        "RESOURCE_MISMATCH",
        "ses:CreateConfigurationSet",
    ): "true of SES's first API; CloudFormation calls the second, which knows sets as resources",
    ("RESOURCE_STAR", "deployer/Looks"): "looks alone, at things whose names AWS chooses",
    ("RESOURCE_STAR", "deployer/Mappings"): "a mapping's name is its id; the condition names the functions",
    ("RESOURCE_STAR", "ses:SendEmail"): "judged without MailIdentity: SES bounds the senders itself",
    ("RESOURCE_STAR", "NetworkPolicy"): "an interface has no name before it exists",
}
#: Values that stand for CloudFormation's own, so that a policy can be read.
_VALUES = {
    "${AWS::Partition}": "aws",
    "${AWS::Region}": "us-east-1",
    "${AWS::AccountId}": "123456789012",
    "${Stage}": _STAGE,
    "${WebsocketAPI}": "a1b2c3d4e5",
}


class Finding(NamedTuple):
    """A finding of cfn-lint or parliament: the code of the rule, the place in the file, and the text."""

    code: str
    place: str
    text: str


def findings(folder: Path) -> Iterator[Finding]:
    """Yield every finding of the package in *folder*, excused or not."""
    built = package.load(folder)
    expanded = expand(built.app)
    (folder / "expanded.json").write_text(json.dumps(expanded))
    for name in ("data.json", "app.json", "expanded.json"):
        yield from of_template(folder / name)
    yield from of_policy("deployer", policies.deployer(_STAGE))
    for name, resource in expanded["Resources"].items():
        for document in _documents(resource):
            yield from of_policy(name, _plain(document))


def unexcused(found: list[Finding]) -> list[str]:
    """Return a line for each finding without an excuse, and for each excuse without a finding."""
    used, lines = set(), []
    for one in found:
        key = next((key for key in EXCUSED if key[0] == one.code and key[1] in f"{one.place} {one.text}"), None)
        used.add(key)
        if key is None:
            lines.append(f"{one.place}: {one.code} {one.text}")
    return lines + [f"EXCUSED has {key}, which excuses nothing any more" for key in EXCUSED if key not in used]


def expand(app: Template) -> Template:
    """Return the *app* template as CloudFormation expands it.

    Raises:
        CommandFailed: SAM's translator refuses the template; the text is the translator's own.
    """
    template = json.loads(json.dumps(app))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "packages", "Key": "code.zip"}
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = {"Bucket": "packages", "Key": "push.layer"}
    arn = "arn:aws:sns:us-east-1:123456789012:any"
    values = {name: one.get("Default", arn) for name, one in template["Parameters"].items()} | {"Stage": _STAGE}
    command = [environment.EMULATOR.python(ROOT), ROOT / "infra/deployment/expand.py"]
    given = json.dumps({"template": template, "values": values})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(done.stderr.strip())
    expanded: Template = json.loads(done.stdout)
    return expanded


def of_template(file: Path) -> Iterator[Finding]:
    """Yield cfn-lint's findings of the template *file*."""
    from cfnlint.api import lint_file  # noqa: PLC0415 - half a second that other commands can do without

    for match in lint_file(file):
        yield Finding(match.rule.id, f"{file.name} {'/'.join(map(str, match.path or ()))}", match.message)


def of_policy(name: str, document: Template) -> Iterator[Finding]:
    """Yield parliament's findings of a policy, statement by statement: a finding names no statement by itself."""
    with warnings.catch_warnings():
        # parliament looks for its own files by pkg_resources.
        warnings.simplefilter("ignore")
        import parliament  # noqa: PLC0415

        for number, statement in enumerate(document["Statement"]):
            text = json.dumps({"Version": document["Version"], "Statement": [statement]})
            place = f"{name}/{statement.get('Sid', number)}"
            for finding in parliament.analyze_policy_string(text).findings:
                yield Finding(finding.issue, place, f"{finding.title or ''} {finding.detail}".strip())


def _documents(resource: Template) -> Iterator[Template]:
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::IAM::Role":
        yield from (one["PolicyDocument"] for one in properties.get("Policies", ()))
    if resource["Type"] == "AWS::IAM::ManagedPolicy":
        yield properties["PolicyDocument"]


def _plain(value: Any) -> Any:
    """Return *value* with plain text in the place of CloudFormation's substitutions."""
    if isinstance(value, dict) and "Fn::If" in value:
        # The wider right is the one to judge.
        return _plain(value["Fn::If"][2])
    if isinstance(value, dict):
        return _plain(value["Fn::Sub"]) if "Fn::Sub" in value else {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    for name, text in _VALUES.items():
        value = value.replace(name, text) if isinstance(value, str) else value
    return value


def main() -> None:
    """Lint as a step of ``scripts/check``; exit with 1 and a line for each finding."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        package.build(_STAGE, vendor=False, folder=Path(folder))
        lines = unexcused(list(findings(Path(folder))))
    if lines:
        sys.exit("\n".join([*lines, f"A false positive belongs to EXCUSED in {Path(__file__).relative_to(ROOT)}."]))


if __name__ == "__main__":
    main()
