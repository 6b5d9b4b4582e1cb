"""docs/deployment.md: the commands run as printed, with the substitutes of the page, and print what the page shows."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from chalicelib import slices
from infra.deployment import quotas
from infra.environment import ROOT
from infra.host.processes import Identity
from infra.local.stack import Stack
from infra.operations import running_stack
from infra.operations.running_stack import Run
from tests.support import endpoint
from tests.support.client import Client, json_of
from tests.support.records import DOC

pytestmark = pytest.mark.stack

PAGE = (ROOT / "docs/deployment.md").read_text()
PASSWORD = "a password for the first deployment"
DATABASE = "first-deployment"


def blocks(heading: str, kind: str = "bash") -> list[str]:
    """Return the blocks of a *kind* below a heading of the page."""
    section = re.split(rf"\n##+ {re.escape(heading)}\n", PAGE)[1]
    return re.findall(rf"```{kind}\n(.*?)```", re.split(r"\n## |\n### ", section)[0], re.DOTALL)


class Operator:
    """Runs the page's commands for the stage prod in *folder*, at the endpoint of a running stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        running_stack.write(folder, Run(Identity.of(os.getpid()), stack.url, stack.environment))
        self.folder = folder
        account, laptop = blocks("Before")
        assert "AWS_REGION" in account
        self._laptop = laptop.replace("=...", f"={PASSWORD!r}").replace("up --env", f"up --data {folder} --env")

    def run(self, commands: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """Run *commands* after the page's commands for a laptop."""
        # Functions of the emulator have the packages of this machine. `scripts/package` itself always vendors.
        option = "--vendor" if endpoint.variables() else "--no-vendor"
        script = re.sub(r"scripts/package .*", rf"\g<0> {option}", commands)
        script = re.sub(r"scripts/(\w+)", rf"{sys.executable} -m infra.run \1", self._laptop + script)
        return subprocess.run(
            ["bash", "-eu", "-c", script.replace("build/", f"{self.folder}/")],
            cwd=ROOT,
            env={name: os.environ[name] for name in ("PATH", "HOME")},
            input=typed,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def done(self, commands: str, typed: str = "") -> str:
        """Return what successful *commands* print."""
        done = self.run(commands, typed)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.replace(f"{self.folder}/", "build/")


@pytest.fixture(scope="module")
def operator(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    found = Operator(stack, tmp_path_factory.mktemp("prod"))
    yield found
    found.run("scripts/deploy --stage prod --destroy", "prod\n")


@pytest.fixture(scope="module")
def deployed(operator: Operator) -> str:
    """The output of scripts/deploy."""
    (commands,) = blocks("Deploy")
    return operator.done(commands)


@pytest.fixture(scope="module")
def api(deployed: str) -> str:
    return next(line.split()[1] for line in deployed.splitlines() if line.startswith("API"))


def shape(output: str) -> str:
    """Return *output* without addresses and figures."""
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r"\b(https?|wss?)://\S+", "URL", output)).replace("N s", "").strip()


def squeezed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in shape(text).splitlines()]


def test_quotas_of_the_page_are_those_of_the_code() -> None:
    workers, places = sum(queue.concurrency for queue in slices.QUEUES), quotas.waiting_places({})
    assert f"`WAITING_PLACES` ({places}) and {quotas.OTHERS} more; with all queues at work {workers} more" in PAGE
    assert f"`WAITING_PLACES={10 - quotas.OTHERS}` fits into a new account" in PAGE


def test_first_deployment_prints_what_the_page_shows(deployed: str) -> None:
    (printed,) = blocks("Deploy", "text")
    # Only a package with its requirements has bytecode.
    page, shown = ([line for line in squeezed(one) if "files of bytecode" not in line] for one in (printed, deployed))
    assert shown == page


def test_verification_prints_what_the_page_shows(operator: Operator, api: str) -> None:
    (commands,), (printed,) = blocks("Verify"), blocks("Verify", "text")
    output = operator.done(commands)
    assert f"verifying {api} as admin" in output
    assert squeezed(output) == squeezed(printed)


def test_second_deployment_leaves_the_secret_as_it_is(operator: Operator, stack: Stack, api: str) -> None:
    calls = stack.client("secretsmanager")
    before = calls.get_secret_value(SecretId="holdfast-prod")["SecretString"]
    assert json.loads(before)["mongodbUri"] == stack.mongodb_uri
    (commands,) = blocks("Deploy")
    assert "connection string" not in operator.done(commands)
    assert calls.get_secret_value(SecretId="holdfast-prod")["SecretString"] == before


def test_earlier_release_comes_back_from_its_folder(operator: Operator, api: str) -> None:
    # Given a later release
    shutil.copytree(operator.folder / "prod-1", operator.folder / "prod-2")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    template = operator.folder / "prod-2/app.json"
    text = template.read_text()
    later = text.replace(f'"HOLDFAST_VERSION":"{version}"', '"HOLDFAST_VERSION":"9.9.9"')
    assert later != text
    template.write_text(later)
    operator.done("scripts/deploy --stage prod --folder build/prod-2")
    assert json_of(Client(api).get("/health"))["version"] == "9.9.9"
    # When
    (commands,) = blocks("Roll back")
    output = operator.done(f"API={api}\n{commands}")
    # Then
    assert json.loads(output.splitlines()[-1])["version"] == version


def test_lost_database_is_filled_from_the_tables(operator: Operator, stack: Stack, api: str) -> None:
    # Given a record, and then no database
    admin = Client(api).signed_in("admin", PASSWORD)
    application = json_of(admin.post("/api/applications", DOC), 201)["applicationId"]
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as mongo:
        mongo.drop_database(DATABASE)
    # When
    commands, _ = blocks("Backup and restore")
    operator.done(commands)
    # Then the list shows the record
    again = Client(api).signed_in("admin", PASSWORD)
    assert application in [one["applicationId"] for one in json_of(again.get("/api/applications"))["items"]]


def test_restored_table_is_copied_back(stack: Stack) -> None:
    # Given a damaged table, and a table that AWS has restored
    dynamodb, mark = stack.client("dynamodb"), secrets.token_hex(4)
    names = [f"restored-{mark}", f"damaged-{mark}"]
    for name in names:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    for number in range(40):
        dynamodb.put_item(TableName=names[0], Item={"pk": {"S": str(number)}, "doc": {"M": {"n": {"N": "1.50"}}}})
    dynamodb.put_item(TableName=names[1], Item={"pk": {"S": "7"}, "doc": {"S": "damaged"}})
    # When
    (script,) = blocks("Backup and restore", "python")
    variables = {name: value for name, value in stack.environment.items() if name.startswith("AWS_")}
    subprocess.run([sys.executable, "-c", script, *names], env=os.environ | variables, check=True, timeout=120)
    # Then
    found = [sorted(dynamodb.scan(TableName=name)["Items"], key=str) for name in names]
    assert len(found[0]) == 40
    assert found[0] == found[1]
    for name in names:
        dynamodb.delete_table(TableName=name)


def test_everything_is_removed(operator: Operator, stack: Stack, api: str) -> None:
    (commands,) = blocks("Remove everything")
    assert operator.run(commands, "production\n").returncode == 1
    assert json_of(Client(api).get("/ready"))["status"] == "ready"
    operator.done(commands, "prod\n")
    names = stack.client("dynamodb").list_tables()["TableNames"]
    queues = stack.client("sqs").list_queues().get("QueueUrls", [])
    assert not [name for name in [*names, *queues] if "holdfast-prod-" in name]
