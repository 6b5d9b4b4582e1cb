"""The certificate is for the name, from whoever the system trusts."""

import pytest
import trustme

from chalicelib.core import egress
from tests.support.hostile_servers import OK, Names, Peer, certified, post, say


def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(authority: trustme.CA, loopback: None) -> None:
    names = Names({"hook.test": [["127.0.0.1"]]})
    with Peer(OK, tls=certified(authority, "hook.test")) as peer:
        assert post(f"https://hook.test:{peer.port}/", resolve=names).status == 200
    assert peer.names == ["hook.test"]
    with Peer(OK, tls=certified(authority, "127.0.0.1", "other.test")) as peer:
        with pytest.raises(egress.Unreachable, match="certificate is not valid") as error:
            post(f"https://hook.test:{peer.port}/", resolve=names)
        assert post(f"https://127.0.0.1:{peer.port}/", resolve=names).status == 200
    assert len(peer.requests) == 1, "nothing was sent to the wrong one"
    assert "127.0.0.1" not in str(error.value)


def test_a_name_beyond_ascii_is_certified_in_its_ascii_form(authority: trustme.CA, loopback: None) -> None:
    names = Names({"xn--fa-hia.test": [["127.0.0.1"]]})
    with Peer(OK, tls=certified(authority, "xn--fa-hia.test")) as peer:
        url = f"https://fa\N{LATIN SMALL LETTER SHARP S}.test:{peer.port}/"
        assert post(url, resolve=names).status == 200


def test_a_certificate_that_nobody_vouches_for_is_refused(authority: trustme.CA, loopback: None) -> None:
    stranger = certified(trustme.CA(), "127.0.0.1")
    with Peer(OK, tls=stranger) as peer, pytest.raises(egress.Unreachable, match="certificate is not valid"):
        post(f"https://127.0.0.1:{peer.port}/")
    assert not peer.requests


def test_a_server_without_tls_cannot_be_reached_with_it(authority: trustme.CA, loopback: None) -> None:
    with Peer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as peer, pytest.raises(egress.Unreachable):
        post(f"https://127.0.0.1:{peer.port}/")
