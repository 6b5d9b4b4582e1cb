"""The choice of the AWS endpoint."""

import socket
from collections.abc import Iterator

import pytest

from infra.host import ports
from infra.local.clients import ForeignClients, Unreachable, check_servers, foreign_wanted
from infra.operations.failures import CommandFailed


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a listening socket; the environment names no endpoint."""
    for name in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_no_endpoint_in_the_environment_means_the_own_emulator(address: str) -> None:
    assert not foreign_wanted()


def test_foreign_endpoint_demands_a_database_that_functions_reach(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_servers({})  # the own emulator and an own MongoDB
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
    with pytest.raises(CommandFailed, match=r"cannot reach a MongoDB .* Set MONGODB_URI"):
        check_servers({})


@pytest.mark.parametrize(("name", "scheme"), [("AWS_ENDPOINT_URL", "http://"), ("LOCALSTACK_HOST", "")])
def test_an_endpoint_of_the_environment_is_used(
    address: str, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str
) -> None:
    monkeypatch.setenv(name, f"{scheme}{address}")
    assert foreign_wanted()
    clients = ForeignClients()
    assert clients.url == f"http://{address}"
    assert clients.client("sqs").meta.endpoint_url == f"http://{address}"


def test_an_unreachable_endpoint_is_named_with_its_variable(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALSTACK_HOST", f"127.0.0.1:{ports.free()}")
    with pytest.raises(Unreachable, match="LOCALSTACK_HOST names http://127"):
        ForeignClients()
