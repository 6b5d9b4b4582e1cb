"""The OpenAPI description is complete, and schemathesis finds no difference between description and API."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.support.client import Client, json_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

DESCRIPTION = "/openapi.json"
#: An idle machine needs a fraction of this time.
DEADLINE_SECONDS = 900
_FUZZ = Path(__file__).parent / "fuzz"


def test_the_description_names_every_route_its_roles_and_its_errors(stack: Stack) -> None:
    document = json_of(Client(stack.url).get(DESCRIPTION))
    assert document["openapi"].startswith("3.1.")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 20
    for operation in operations:
        assert operation["summary"]
        assert "Roles: " in operation["description"]
        # The failures of a stream are events.
        if "text/event-stream" not in operation["responses"].get("200", {}).get("content", {}):
            assert {"405", "503"} <= set(operation["responses"])
            assert operation["security"] == [] or "401" in operation["responses"]
    # Names are in camelCase, in paths too.
    assert not [name for path in document["paths"] for name in re.findall(r"{(\w*_\w*)}", path)]
    assert "_" not in "".join(document["components"]["schemas"]["NewApproval"]["properties"])


def test_the_description_has_no_dangling_references(stack: Stack) -> None:
    document = json_of(Client(stack.url).get(DESCRIPTION))
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert wanted <= set(document["components"]["schemas"])


def test_the_api_behaves_as_described_under_schemathesis(
    stack: Stack, admin: Client, person: NewPerson, tmp_path: Path
) -> None:
    # Given an administrator with spared sessions
    fuzzer = person("admin")
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.integration.fuzz.hooks",
        "FUZZ_SPARED": f"admin,{fuzzer.username}",
    }
    command: list[str | Path] = [
        Path(sys.executable).parent / "schemathesis",
        "--config-file", _FUZZ / "schemathesis.toml",
        "run", stack.url + DESCRIPTION,
        "--checks", "all",
        "--header", f"Authorization: Bearer {fuzzer.client.token}",
        # A call of this operation would end the run's session.
        "--exclude-operation-id", "end_current",
        # The start of browsers, unknown to every other caller and method: 404 in place of 405.
        "--exclude-operation-id", "show_start",
        "--no-color",
    ]  # fmt: skip
    # When every operation is called with valid and invalid input
    done = subprocess.run(
        command,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    # Then no failure is found
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    # And the run still had its session at the end
    json_of(fuzzer.client.get("/api/sessions/current"))
    json_of(admin.get("/api/sessions/current"))
