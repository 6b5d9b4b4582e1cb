"""The README's calls run as printed, and give the printed answers."""

import json
import re
import subprocess

import pytest

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.approvals import APPROVALS, request_path
from tests.support.client import Client, json_of

README = (ROOT / "README.md").read_text()
#: An id made by Holdfast, different in every run.
_MADE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")


def test_the_readmes_call_answers_as_printed(stack: Stack, admin: Client) -> None:
    # Given no older question to the administrator, such as one of another test
    for item in json_of(admin.get(f"{APPROVALS}?status=pending&username=admin"))["items"]:
        json_of(admin.post(request_path(item["requestId"], "cancel")))
    commands = re.search(r"```bash\nPASSWORD=.*?```", README, re.DOTALL)
    printed = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert commands
    assert printed

    output = _run(stack, commands[0].removeprefix("```bash\n").removesuffix("```"))

    answer, expected = json.loads(output), json.loads(printed[1])
    assert answer.pop("requestId") != expected.pop("requestId")
    assert answer == expected


@pytest.mark.parametrize("feature", ["Lose no update", "Exactly one", "Once only"])
def test_a_feature_of_the_readme_answers_as_printed(stack: Stack, feature: str) -> None:
    sign_in = re.search(r"```bash\n(PASSWORD=.*?\nAUTH=.*?\n)", README, re.DOTALL)
    section = re.search(rf"\n## {feature}\n.*?```bash\n(.*?)```.*?```text\n(.*?)```", README, re.DOTALL)
    assert sign_in
    assert section
    commands, printed = section.groups()

    output = _run(stack, sign_in[1] + commands)

    assert _MADE.sub("ID", output) == _MADE.sub("ID", printed)


def _run(stack: Stack, script: str) -> str:
    """Return the output of *script*, run by bash against *stack*."""
    script = script.replace("PASSWORD=...", f"PASSWORD={stack.admin_password}").replace(
        "http://localhost:8000", stack.url
    )
    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
