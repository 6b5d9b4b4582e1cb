"""The sentence and the exit code of a failed command."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.core.errors import Unavailable
from infra.environment import ROOT
from infra.operations import servers
from infra.operations.failures import reporting, sentence
from infra.operations.target import NoTarget

#: A port of this machine where nothing listens.
NOWHERE = "127.0.0.1:9"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoTarget("Nothing runs."), "Nothing runs."),
        (ClientError({"Error": {"Code": "No", "Message": "not allowed"}}, "Scan"), "look: not allowed"),
        (Unavailable("Gone."), "look: Gone."),
    ],
)
def test_expected_error_ends_the_command_with_a_sentence(error: Exception, said: str) -> None:
    with pytest.raises(SystemExit, match=said), reporting("look"):
        raise error


def error_of(call: Callable[[], Any]) -> BaseException:
    """Return the error that *call* raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 # the test's subject
        return error
    raise AssertionError("no error")


def refused(code: str, message: str = "It is refused.") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")


def an_aws_call(**given: Any) -> Callable[[], Any]:
    def call() -> Any:
        options = {"region_name": "eu-west-1", "config": Config(retries={"total_max_attempts": 1}), **given}
        return botocore.session.Session().create_client("sqs", **options).list_queues()

    return call


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (an_aws_call(region_name=None), ["No AWS region is set", "AWS_REGION"]),
        (an_aws_call(), ["No AWS credentials", "AWS_ACCESS_KEY_ID"]),
        (
            an_aws_call(endpoint_url=f"http://{NOWHERE}", aws_access_key_id="a", aws_secret_access_key="b"),
            [NOWHERE, "does not answer"],
        ),
        (lambda: servers.check_mongodb(f"mongodb://{NOWHERE}/x"), ["MONGODB_URI", NOWHERE, "refused"]),
        (lambda: servers.check_mongodb("mongodb://ann:pass/word@host/x"), ["MONGODB_URI is not a connection string"]),
        (lambda: servers.check_mongodb("mongodb://host:word"), ["MONGODB_URI is not a connection string"]),
        (lambda: Path("/nowhere/file").read_text(), ["/nowhere/file", "No such file"]),
    ],
)
def test_error_of_the_surroundings_is_one_sentence_without_secrets(
    call: Callable[[], Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = sentence(error_of(call))
    assert said is not None
    assert all(each in said for each in words), said
    assert len(said) < 240
    assert "word@" not in said


def test_endpoint_of_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{NOWHERE}")
    said = sentence(error_of(an_aws_call(aws_access_key_id="a", aws_secret_access_key="b")))
    assert said is not None
    assert said.startswith(f"AWS_ENDPOINT_URL names http://{NOWHERE}, which does not answer.")


def test_expired_credentials_are_to_be_renewed() -> None:
    assert sentence(refused("ExpiredTokenException")) == "It is refused. Renew the credentials."
    assert sentence(refused("AccessDenied")) == "It is refused."


def test_a_denied_folder_is_named_with_advice() -> None:
    said = sentence(PermissionError(13, "Permission denied", "/data/lock"))
    assert said == "/data/lock: Permission denied. Choose a place where this user may write."


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reporting("look"):
        raise ZeroDivisionError
    assert sentence(OSError(9, "Bad file descriptor")) is None


def test_ctrl_c_ends_a_command_with_130_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, reporting("look", "Stopped in the middle."):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nStopped in the middle.\n"


def test_output_without_a_reader_ends_a_command_without_a_traceback() -> None:
    # As `| head -0`: the reader is gone before the first line.
    reader, writer = os.pipe()
    os.close(reader)
    script = "from infra.operations.failures import reporting\nwith reporting('look'): print('a line')"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_region_is_aws_region_before_aws_default_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert servers.aws_session(os.environ).create_client("sqs").meta.region_name == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert servers.aws_session(os.environ).create_client("sqs").meta.region_name == "eu-central-1"


def test_every_script_runs_through_the_one_place_for_failures() -> None:
    from infra.run import MODULES  # noqa: PLC0415

    for script in sorted((ROOT / "scripts").glob("[!_.]*[!.md]")):
        if script.name in {"test", "check", "README.md"} or not script.is_file():
            continue
        assert script.name in MODULES
        assert re.search(rf'exec "\$python" -m infra.run {script.name} (--vendor )?"\$@"', script.read_text()), script


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command *name* of scripts/ with nothing but *variables*."""
    environ = {"PATH": os.environ["PATH"], "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    command = [sys.executable, "-m", "infra.run", name, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ | variables, capture_output=True, text=True, timeout=60, check=False
    )


KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        (["deploy", "--stage", "dev"], {}, "deploy: No AWS region is set."),
        (["deploy", "--stage", "dev"], {"AWS_REGION": "eu-west-1"}, "deploy: No AWS credentials were found."),
        (["deploy", "--stage", "nope"], {}, ".chalice/config.json has no stage nope; its stages are dev, "),
        (
            ["package", "--stage", "nope"],
            {},
            ".chalice/config.json has no stage nope; its stages are dev, ",
        ),
        (["deploy", "--stage", "dev"], {"HOLDFAST_ADMIN_PASSWORD": "abc"}, "HOLDFAST_ADMIN_PASSWORD has 3 characters"),
        (
            ["deploy", "--stage", "dev"],
            {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": f"http://{NOWHERE}", **KEYS},
            f"deploy: AWS_ENDPOINT_URL names http://{NOWHERE}, which does not answer.",
        ),
        (["queues", "list", "--stage", "dev"], {}, "list: No AWS region is set."),
        (["reconcile", "--stage", "dev"], {}, "reconcile: No AWS region is set."),
        (["migrate", "--collection", "any", "--stage", "dev"], {}, "migrate: No AWS region is set."),
        (["serve", "--stage", "dev"], {}, "serve: No AWS region is set."),
    ],
)
def test_command_that_cannot_begin_says_why_and_ends_with_one(
    command: list[str], variables: dict[str, str], said: str
) -> None:
    done = run(*command, **variables)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_file_in_place_of_the_data_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for more in ([], ["--detach"]):
        done = run("up", "--data", str(tmp_path / "file/data"), *more)
        assert done.returncode == 1
        assert f"{tmp_path}/file/data" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
