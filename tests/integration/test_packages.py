"""A folder of scripts/package: deployed and destroyed as a stage of its own, by the commands of an operator."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.deployment import package
from infra.environment import ROOT
from infra.local.stack import Stack
from infra.operations.failures import CommandFailed
from tests.support import endpoint
from tests.support.client import Client, json_of

pytestmark = pytest.mark.stack

PASSWORD = "a password for the packaged stage"
VENDORED = bool(endpoint.variables())
Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for dev, without wheels where functions have the packages of this machine: at the emulator."""
    made = tmp_path_factory.mktemp("packaged")
    package.build("dev", vendor=VENDORED, folder=made)
    return made


@pytest.fixture(scope="module")
def deploy(stack: Stack, folder: Path) -> Iterator[Deploy]:
    """Run ``scripts/deploy --stage dev`` at the local endpoint; the stage is destroyed at the end."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    more = {"MONGODB_URI": stack.mongodb_uri, "MONGODB_DATABASE": "packaged", "HOLDFAST_ADMIN_PASSWORD": PASSWORD}

    def run(*options: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infra.run", "deploy", "--stage", "dev", *options],
            cwd=ROOT,
            env={**os.environ, **keys, **more, "AWS_ENDPOINT_URL": stack.endpoint_url},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    run("--destroy", typed="dev\n")


def test_packaged_folder_is_deployed_and_destroyed(deploy: Deploy, folder: Path, stack: Stack) -> None:
    # When
    done = deploy("--folder", str(folder))
    # Then the stage answers
    assert done.returncode == 0, done.stderr
    url = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("API"))
    assert json_of(Client(url).signed_in("admin", PASSWORD).get("/api/sessions/current"), 200)["username"] == "admin"
    # And its database can be prepared alone
    assert deploy("--folder", str(folder), "--only-database").returncode == 0
    # And nothing is destroyed without the name
    refused = deploy("--destroy", typed="prod\n")
    assert (refused.returncode, "Nothing was changed." in refused.stderr) == (1, True)
    # And all is destroyed with the name
    gone = deploy("--destroy", typed="dev\n")
    assert gone.returncode == 0, gone.stderr
    assert not [name for name in stack.client("dynamodb").list_tables()["TableNames"] if "-dev-" in name]


def test_folder_of_another_stage_is_refused(deploy: Deploy, folder: Path) -> None:
    package_of_dev = package.load(folder)
    with pytest.raises(CommandFailed, match=r"built for the stage dev, not for prod"):
        package.check_folder("prod", package_of_dev)
    missing = deploy("--folder", str(folder / "nothing"))
    assert missing.returncode == 1
    assert "Build a package there" in missing.stderr


def test_readme_of_a_folder_names_its_files_and_parameters(folder: Path) -> None:
    text = (folder / "README.txt").read_text()
    for name in ("data.json", "app.json", "deployment.zip", "deployer.json", "waiting.json"):
        assert name in text
        assert (folder / name).exists()
    assert ("WITHOUT its packages" in text) is not VENDORED
    built = package.load(folder)
    for name in built.app["Parameters"]:
        assert f"{name}=" in text or "Default" in built.app["Parameters"][name]
