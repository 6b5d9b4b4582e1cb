"""The source address: forwarded headers count only from proxies that the setting names, and no header is an error."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core.runtime import settings as options_of
from chalicelib.core.web.source import network_of, parsed, source_of

PROXIES = '["10.0.0.0/8", "2001:db8:ffff::/48"]'


def source(peer: Any, forwarded: str | None = None) -> str | None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    found = source_of({"identity": {"sourceIp": peer}}, headers)
    return None if found is None else str(found)


def test_forwarded_header_counts_for_nothing_without_trusted_proxies() -> None:
    assert source("10.0.0.1", "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        # A caller who is no proxy, whatever it sends.
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        # What the caller sent stands to the left of what the proxies wrote.
        ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2,10.0.0.3", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        # All are trusted: the first of them called.
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # Nothing left of an entry that is no address.
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        # IPv6, and IPv4 in its clothes.
        ("2001:db8:ffff::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", None, "fe80::1"),
    ],
)
def test_right_most_address_that_is_no_trusted_proxy_counts(
    options: Callable[..., None], peer: str, forwarded: str | None, found: str
) -> None:
    options(HTTP_TRUSTED_PROXIES=PROXIES)
    assert source(peer, forwarded) == found


@pytest.mark.parametrize("context", [{}, {"identity": None}, {"identity": {}}, {"identity": {"sourceIp": "nowhere"}}])
def test_request_without_a_peer_has_no_source(context: dict[str, Any]) -> None:
    assert source_of(context, {"x-forwarded-for": "203.0.113.9"}) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.one_of(st.text(), st.just("10.0.0.1"), st.integers(), st.none()))
def test_malformed_headers_and_peers_never_raise(options: Callable[..., None], forwarded: str, peer: Any) -> None:
    options(HTTP_TRUSTED_PROXIES=PROXIES)
    source(peer, forwarded)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9/32"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4/32"),
    ],
)
def test_network_of_an_ipv6_address_is_its_64(address: str, network: str) -> None:
    found = parsed(address)
    assert found
    assert network_of(found) == ip_network(network)


@pytest.mark.parametrize("value", ['["10.0.0.0/33"]', "10.0.0.0/8", '["10.0.0.1/8"]', '"10.0.0.0/8"'])
def test_bad_list_of_proxies_is_refused_by_name(options: Callable[..., None], value: str) -> None:
    options(HTTP_TRUSTED_PROXIES=value)
    with pytest.raises(options_of.BadSettings, match="HTTP_TRUSTED_PROXIES"):
        options_of.load(options_of.HttpSettings)


def test_ipv4_mapped_address_is_ipv4() -> None:
    assert parsed("::ffff:203.0.113.9") == ip_address("203.0.113.9")
