"""What is given as an address is refused at once, and again when it is called, unless it leads to the internet."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import egress
from chalicelib.core.errors import FieldError
from tests.support.hostile_servers import Names
from tests.support.urls import LOOPBACK, NAMES, PRIVATE, PUBLIC, SPELLINGS


@pytest.mark.parametrize("url", [*PRIVATE, *LOOPBACK, *SPELLINGS])
def test_it_is_refused_when_it_is_given_and_again_when_it_is_called(url: str) -> None:
    with pytest.raises(egress.AddressRefused):
        egress.check(url, resolve=Names(NAMES))
    with pytest.raises((egress.AddressRefused, egress.UnknownName)):
        egress.post(url, b"{}", {}, resolve=Names(NAMES))


@pytest.mark.parametrize("url", [*PRIVATE, *SPELLINGS])
def test_loopback_being_admitted_admits_nothing_else(url: str, loopback: None) -> None:
    with pytest.raises(egress.AddressRefused):
        egress.check(url, resolve=Names(NAMES))


@pytest.mark.parametrize("url", LOOPBACK)
def test_the_setting_admits_loopback_however_it_is_written(url: str, loopback: None) -> None:
    egress.check(url, resolve=Names(NAMES))


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
def test_an_address_on_the_internet_is_admitted(url: str) -> None:
    egress.check(url, resolve=Names(NAMES))


@given(
    st.text()
    | st.builds("http://{}{}".format, st.text(), st.text())
    | st.from_regex(r"https?://\S{1,30}", fullmatch=True)
)
def test_whatever_is_given_it_is_refused_unless_it_is_a_public_address(text: str) -> None:
    asked = Names({})

    def private(host: str, port: int, **more: Any) -> Any:
        asked.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", port))]

    try:
        egress.check(text, resolve=private)
    except egress.AddressRefused:
        return
    assert not asked.asked, "a name was admitted although it leads to 10.0.0.1"


def test_a_reason_does_not_say_where_a_name_leads() -> None:
    with pytest.raises(egress.AddressRefused) as error:
        egress.check("https://metadata.test/", field="callbackUrl", resolve=Names(NAMES))
    told = error.value.problem("r-1")
    assert told["status"] == 422
    assert told["errors"] == [FieldError("callbackUrl", "This leads to an address that is not public.")._asdict()]
    assert "169.254" not in repr(told)


def test_the_corpus_is_as_large_as_it_looks() -> None:
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
def test_a_reason_says_what_to_mend(url: str, reason: str) -> None:
    with pytest.raises(egress.AddressRefused, match=reason):
        egress.check(url, resolve=Names(NAMES))
