"""A URL is refused by `check` and again by the call, unless the URL leads to a public address."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import egress
from chalicelib.core.errors import FieldError
from tests.support.hostile_servers import Resolver
from tests.support.urls import LOOPBACK, NAMES, PRIVATE, PUBLIC, SPELLINGS


@pytest.mark.parametrize("url", [*PRIVATE, *LOOPBACK, *SPELLINGS])
def test_private_or_malformed_url_is_refused_by_check_and_call(url: str) -> None:
    with pytest.raises(egress.AddressRefused):
        egress.check(url, resolve=Resolver(NAMES))
    with pytest.raises((egress.AddressRefused, egress.UnknownName)):
        egress.post(url, b"{}", {}, resolve=Resolver(NAMES))


@pytest.mark.parametrize("url", [*PRIVATE, *SPELLINGS])
def test_loopback_setting_admits_no_other_private_url(url: str, loopback: None) -> None:
    with pytest.raises(egress.AddressRefused):
        egress.check(url, resolve=Resolver(NAMES))


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_setting_admits_every_spelling_of_loopback(url: str, loopback: None) -> None:
    egress.check(url, resolve=Resolver(NAMES))


@pytest.mark.parametrize(
    "url",
    [
        f"https://{PUBLIC}/",
        "HTTPS://Hook.Test",
        "https://hook.test.:8443/a/b;c?d=e&f[]=g%20h",
        "http://hook.test:/",
        "https://hook.test?x",
        "https://[2606:2800:21f::1]/",
        "https://[64:ff9b::8.8.8.8]/",
    ],
)
def test_public_url_is_admitted(url: str) -> None:
    egress.check(url, resolve=Resolver(NAMES))


@given(
    st.text()
    | st.builds("http://{}{}".format, st.text(), st.text())
    | st.from_regex(r"https?://\S{1,30}", fullmatch=True)
)
def test_any_url_leading_to_a_private_address_is_refused(text: str) -> None:
    names = Resolver({})

    def private(host: str, port: int, **more: Any) -> Any:
        names.lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", port))]

    try:
        egress.check(text, resolve=private)
    except egress.AddressRefused:
        return
    assert not names.lookups, "a name was admitted although it leads to 10.0.0.1"


def test_refusal_does_not_reveal_the_address_of_a_name() -> None:
    with pytest.raises(egress.AddressRefused) as error:
        egress.check("https://metadata.test/", field="callbackUrl", resolve=Resolver(NAMES))
    problem = error.value.problem("r-1")
    assert problem["status"] == 422
    assert problem["errors"] == [FieldError("callbackUrl", "This leads to an address that is not public.")._asdict()]
    assert "169.254" not in repr(problem)


def test_corpus_of_refused_urls_has_no_duplicates() -> None:
    assert len({*PRIVATE, *LOOPBACK, *SPELLINGS}) == len(PRIVATE) + len(LOOPBACK) + len(SPELLINGS) >= 60


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://hook.test/", "begins with http"),
        ("http://user@hook.test/", "no user name"),
        ("http://hook.test/#part", "or fragment"),
        ("http://hook.test:0/", "from 1 to 65535"),
        ("http://2130706433/", "in its usual form"),
        ("http://hook..test/", "not a name"),
        ("http://hook.test/a b", "has a space"),
    ],
)
def test_refusal_names_the_fault_of_the_url(url: str, reason: str) -> None:
    with pytest.raises(egress.AddressRefused, match=reason):
        egress.check(url, resolve=Resolver(NAMES))
