"""A name is resolved once per call, and the wait for the resolver ends at the deadline."""

import itertools
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import egress
from chalicelib.core.errors import Unavailable
from tests.support.hostile_servers import OK, Peer, Resolver, lasting, post
from tests.support.urls import PUBLIC


@pytest.mark.parametrize("call", [egress.check, post])
def test_a_name_is_looked_up_once(call: Callable[..., Any], loopback: None) -> None:
    names = Resolver({"hook.test": [["127.0.0.1"]]})
    with Peer(OK) as peer:
        call(f"http://hook.test:{peer.port}/", resolve=names)
    assert names.lookups == ["hook.test"]


def test_numeric_address_is_not_looked_up(loopback: None) -> None:
    names = Resolver({})
    with Peer(OK) as peer:
        post(f"http://127.0.0.1:{peer.port}/", resolve=names)
    assert names.lookups == []


def test_rebinding_name_is_called_at_its_vetted_address(loopback: None) -> None:
    names = Resolver({"hook.test": [["127.0.0.2"], ["127.0.0.1"]]})
    with Peer(OK, host="127.0.0.2") as vetted, Peer(OK, port=vetted.port) as target:
        post(f"http://hook.test:{vetted.port}/", resolve=names)
    assert (vetted.connections, target.connections) == (1, 0)


def test_name_public_when_checked_is_vetted_again_by_the_call(options: Callable[..., None]) -> None:
    names = Resolver({"hook.test": [[PUBLIC], ["127.0.0.1"]]})
    with Peer(OK) as peer:
        egress.check(f"http://hook.test:{peer.port}/", resolve=names)
        with pytest.raises(egress.AddressRefused):
            post(f"http://hook.test:{peer.port}/", resolve=names)
    assert peer.connections == 0


@pytest.mark.parametrize("addresses", [*itertools.permutations(["127.0.0.1", "127.0.0.2", "10.0.0.1"])])
def test_name_with_one_private_address_is_refused(addresses: tuple[str, ...], loopback: None) -> None:
    with Peer(OK) as peer, pytest.raises(egress.AddressRefused):
        post(f"http://hook.test:{peer.port}/", resolve=Resolver({"hook.test": [addresses]}))
    assert peer.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "[::1]", "localhost", "hook.test"])
@pytest.mark.parametrize("call", [egress.check, post])
def test_a_loopback_port_of_the_stack_is_refused(
    call: Callable[..., Any], host: str, loopback: Callable[..., None]
) -> None:
    names = Resolver({"hook.test": [["127.0.0.1"]]})
    with Peer(OK, host="127.0.0.2" if host.endswith("2") else "127.0.0.1") as peer:
        loopback(REFUSED_PORTS=f"[1, {peer.port}]")
        with pytest.raises(egress.AddressRefused, match="own stack"):
            call(f"http://{host}:{peer.port}/", resolve=names)
    assert peer.connections == 0


def test_a_name_that_moves_to_the_stack_is_refused_by_the_call(loopback: Callable[..., None]) -> None:
    names = Resolver({"hook.test": [[PUBLIC], ["127.0.0.1"]]})
    with Peer(OK) as peer:
        loopback(REFUSED_PORTS=f"[{peer.port}]")
        egress.check(f"http://hook.test:{peer.port}/", resolve=names)
        with pytest.raises(egress.AddressRefused):
            post(f"http://hook.test:{peer.port}/", resolve=names)
    assert peer.connections == 0


def test_a_refused_port_of_another_machine_is_called(loopback: Callable[..., None]) -> None:
    loopback(REFUSED_PORTS="[443]")
    egress.check("https://hook.test/", resolve=Resolver({"hook.test": [[PUBLIC]]}))


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_unknown_name_is_refused_by_check_and_retried_by_call(code: int) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "no")

    with pytest.raises(egress.AddressRefused, match="No server has this name"):
        egress.check("https://hook.test/", resolve=unknown)
    with pytest.raises(egress.UnknownName) as error:
        post("https://hook.test/", resolve=unknown)
    assert isinstance(error.value, Unavailable)


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "later"), OSError("out of sockets")])
def test_unreachable_resolver_does_not_refuse_the_address(error: OSError) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise error

    for call in (egress.check, post):
        with pytest.raises(egress.Unreachable, match="just now"):
            call("https://hook.test/", resolve=down)


def test_the_deadline_holds_while_the_resolver_is_silent(loopback: Callable[..., None]) -> None:
    loopback(TOTAL_TIMEOUT_MS="200", CONNECT_TIMEOUT_MS="200")
    let_go = threading.Event()

    def silent(*_: Any, **__: Any) -> Any:
        let_go.wait(10)
        return []

    for call in (egress.check, post):
        with lasting(0.2), pytest.raises(egress.TimedOut):
            call("https://hook.test/", resolve=silent)
    let_go.set()
