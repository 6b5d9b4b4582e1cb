"""A server's certificate must name the URL's host and come from a trusted authority."""

import pytest
import trustme

from chalicelib.core import egress
from tests.support.hostile_servers import OK, Peer, Resolver, post, send_bytes, tls_context


def test_certificate_is_checked_against_the_name_of_the_url(authority: trustme.CA, loopback: None) -> None:
    names = Resolver({"hook.test": [["127.0.0.1"]]})
    with Peer(OK, tls=tls_context(authority, "hook.test")) as peer:
        assert post(f"https://hook.test:{peer.port}/", resolve=names).status == 200
    assert peer.names == ["hook.test"]
    with Peer(OK, tls=tls_context(authority, "127.0.0.1", "other.test")) as peer:
        with pytest.raises(egress.Unreachable, match="certificate is not valid") as error:
            post(f"https://hook.test:{peer.port}/", resolve=names)
        assert post(f"https://127.0.0.1:{peer.port}/", resolve=names).status == 200
    assert len(peer.requests) == 1, "nothing was sent to the wrong server"
    assert "127.0.0.1" not in str(error.value)


def test_international_name_is_certified_in_its_ascii_form(authority: trustme.CA, loopback: None) -> None:
    names = Resolver({"xn--fa-hia.test": [["127.0.0.1"]]})
    with Peer(OK, tls=tls_context(authority, "xn--fa-hia.test")) as peer:
        url = f"https://fa\N{LATIN SMALL LETTER SHARP S}.test:{peer.port}/"
        assert post(url, resolve=names).status == 200


def test_certificate_of_an_untrusted_authority_is_refused(authority: trustme.CA, loopback: None) -> None:
    stranger = tls_context(trustme.CA(), "127.0.0.1")
    with Peer(OK, tls=stranger) as peer, pytest.raises(egress.Unreachable, match="certificate is not valid"):
        post(f"https://127.0.0.1:{peer.port}/")
    assert not peer.requests


def test_server_without_tls_is_unreachable_over_https(authority: trustme.CA, loopback: None) -> None:
    with Peer(send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as peer, pytest.raises(egress.Unreachable):
        post(f"https://127.0.0.1:{peer.port}/")
