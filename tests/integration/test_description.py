"""The API's own description: it is complete, and schemathesis finds nothing that it says and the API does not do."""

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
#: A machine that does nothing else needs a fraction of it.
DEADLINE_SECONDS = 240
_FUZZ = Path(__file__).parent / "fuzz"


def test_the_description_names_every_route_its_roles_and_its_errors(stack: Stack) -> None:
    document = json_of(Client(stack.url).get(DESCRIPTION))
    assert document["openapi"].startswith("3.1.")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 20
    for operation in operations:
        assert operation["summary"]
        assert "Roles: " in operation["description"]
        assert {"405", "503"} <= set(operation["responses"])
        assert operation["security"] == [] or "401" in operation["responses"]
    # Names are those of the outside, in paths too.
    assert not [name for path in document["paths"] for name in re.findall(r"{(\w*_\w*)}", path)]
    assert "_" not in "".join(document["components"]["schemas"]["NewApproval"]["properties"])


def test_the_description_has_no_reference_that_leads_nowhere(stack: Stack) -> None:
    document = json_of(Client(stack.url).get(DESCRIPTION))
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert wanted <= set(document["components"]["schemas"])


def test_schemathesis_finds_nothing_that_is_not_as_described(
    stack: Stack, admin: Client, person: NewPerson, tmp_path: Path
) -> None:
    # Given an administrator whose sessions the run leaves alone
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
        # It would end the run.
        "--exclude-operation-id", "end_current",
        "--no-color",
    ]  # fmt: skip
    # When every operation is called in every way the description allows, and in many it does not
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
    # Then nothing is found
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    # And it was not the loss of its own session that kept it from finding something
    json_of(fuzzer.client.get("/api/sessions/current"))
    json_of(admin.get("/api/sessions/current"))
