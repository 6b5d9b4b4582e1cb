"""The linters of templates and policies find faults, and each excuse is still needed."""

import json
from pathlib import Path

import pytest

from infra.deployment import lint
from infra.deployment.lint import Finding
from tests.unit.infra.build import Built


def test_templates_and_policies_have_no_finding_without_excuse(built: Built) -> None:
    assert lint.unexcused(list(lint.findings(built.package.code.parent))) == []


def test_linter_of_templates_finds_a_wrong_property(tmp_path: Path) -> None:
    table = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 43_201}}
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({"Resources": {"Queue": table}}))
    assert [finding.place for finding in lint.of_template(file)] == [
        "wrong.json Resources/Queue/Properties/VisibilityTimeout"
    ]


@pytest.mark.parametrize(
    ("action", "resource", "code"),
    [
        ("sqs:SendMessages", "arn:aws:sqs:us-east-1:123456789012:any", "UNKNOWN_ACTION"),
        ("sqs:SendMessage", "arn:aws:dynamodb:us-east-1:123456789012:table/any", "RESOURCE_MISMATCH"),
    ],
)
def test_linter_of_policies_finds_wrong_rights(action: str, resource: str, code: str) -> None:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    (finding,) = lint.of_policy("role", {"Version": "2012-10-17", "Statement": [statement]})
    assert (finding.code, finding.place) == (code, "role/0")


def test_excuse_that_excuses_nothing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "EXCUSED", {("W1", "here"): "a reason"})
    assert lint.unexcused([Finding("W1", "here", "said")]) == []
    assert lint.unexcused([Finding("W2", "here", "said")]) == [
        "here: W2 said",
        "EXCUSED has ('W1', 'here'), which excuses nothing any more",
    ]
