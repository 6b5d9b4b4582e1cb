"""Fixtures: loopback admitted, short deadlines, and certificates of a test authority."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from chalicelib.core.egress import sockets
from tests.support.hostile_servers import Serve, peer_factory, tls_context
from tests.support.node import node_packages, node_receiver

__all__ = ["node_packages", "node_receiver"]


@pytest.fixture
def loopback(options: Callable[..., None]) -> Callable[..., None]:
    """Admit loopback and set short deadlines; return a function that sets other options."""

    def use(**more: str) -> None:
        options(
            **{
                "EGRESS_ALLOW_LOOPBACK": "true",
                "EGRESS_TOTAL_TIMEOUT_MS": "10000",
                "EGRESS_CONNECT_TIMEOUT_MS": "5000",
                "EGRESS_READ_TIMEOUT_MS": "5000",
                **{f"EGRESS_{name}": value for name, value in more.items()},
            }
        )

    use()
    return use


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[trustme.CA]:
    """A certificate authority that this process trusts."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    sockets.tls.cache_clear()
    yield made
    sockets.tls.cache_clear()


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, authority: trustme.CA) -> str:
    return str(request.param)


@pytest.fixture
def serve(scheme: str, authority: trustme.CA) -> Serve:
    """Start a peer that speaks *scheme*."""
    return peer_factory(tls_context(authority, "127.0.0.1") if scheme == "https" else None)
