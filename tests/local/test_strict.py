"""``scripts/up --strict``: a laptop's stack refuses what it would refuse on AWS."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.local.stack import Stack
from infra.local.variables import STRICT
from tests.support.client import Client, json_of, problem_of
from tests.support.up import Up
from tests.support.waiting import processes_on

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("strict") / "data"
    with Up(data, "--strict", HOLDFAST_ADMIN_PASSWORD=PASSWORD) as running:
        yield running.ready().url
    assert processes_on(data) == []


def test_a_strict_stack_refuses_loopback_callbacks(url: str) -> None:
    admin = Client(url).signed_in("admin", PASSWORD)
    for host in ("127.0.0.1", "localhost", "[::1]"):
        question = {"username": "admin", "wait": False, "callbackUrl": f"http://{host}:9000/"}
        assert problem_of(admin.post("/send-notification", question), 422)["code"] == "address-refused"


def test_a_strict_stacks_cookies_are_for_https_alone(url: str) -> None:
    answer = Client(url).post("/api/sessions", {"username": "admin", "password": PASSWORD, "cookie": True})
    assert json_of(answer, 201)["username"] == "admin"
    assert "; Secure" in answer.headers["Set-Cookie"]


def test_a_strict_stack_has_no_receiver_of_callbacks(url: str) -> None:
    assert json_of(Client(url).get("/console/config.json"))["receiver"] is None


def test_stack_of_another_stage_or_endpoint_has_no_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stack(tmp_path).children[-1].name == "the receiver of callbacks"
    assert Stack(tmp_path, stage="dev").receiver_url == ""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Stack(tmp_path).receiver_url == ""


def test_strict_takes_back_every_permission_of_the_local_stage() -> None:
    local = json.loads((ROOT / Path(".chalice/config.json")).read_text())["stages"]["local"]["environment_variables"]
    # The stack's own proxy tells the address of a caller, as the gateway does on AWS. A mail sender permits nothing.
    assert STRICT.keys() == local.keys() - {"HTTP_TRUSTED_PROXIES", "MAIL_SENDER"}
    assert all(local[name] != value for name, value in STRICT.items())
