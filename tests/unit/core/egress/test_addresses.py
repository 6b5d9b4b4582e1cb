"""`vet` admits public addresses alone, in every embedding of IPv4 in IPv6."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.egress import vet

#: Every network with a purpose of its own, as IANA's registries of special-purpose addresses list them, with multicast,
#: the reserved rest, and the abandoned site-local and 6bone ranges.
REGISTRY_V4 = [
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
]
REGISTRY_V6 = [
    "::1/128",
    "::/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


def inside(network: IPv4Network | IPv6Network) -> st.SearchStrategy[int]:
    first, last = int(network.network_address), int(network.broadcast_address)
    return st.sampled_from([first, last]) | st.integers(first, last)


special_v4 = st.sampled_from(REGISTRY_V4).flatmap(lambda text: inside(IPv4Network(text))).map(IPv4Address)
special_v6 = st.sampled_from(REGISTRY_V6).flatmap(lambda text: inside(IPv6Network(text))).map(IPv6Address)

#: Every way to write an IPv4 address inside an IPv6 one.
EMBEDDED: dict[str, Callable[[int, int], int]] = {
    "compatible": lambda v4, _: v4,
    "mapped": lambda v4, _: 0xFFFF << 32 | v4,
    "translated": lambda v4, _: 0xFFFF << 48 | v4,
    "NAT64": lambda v4, _: 0x64FF9B << 96 | v4,
    "local NAT64": lambda v4, more: 0x64FF9B0001 << 80 | (more & (1 << 48) - 1) << 32 | v4,
    "6to4": lambda v4, more: 0x2002 << 112 | v4 << 80 | more & (1 << 80) - 1,
    "Teredo server": lambda v4, more: 0x20010000 << 96 | v4 << 64 | more & (1 << 64) - 1,
    "Teredo client": lambda v4, more: 0x20010000 << 96 | (more & (1 << 64) - 1) << 32 | v4 ^ 0xFFFFFFFF,
    "ISATAP": lambda v4, more: 0x26064700 << 96 | (more & (1 << 32) - 1) << 64 | 0x5EFE << 32 | v4,
    "ISATAP, universal": lambda v4, more: 0x26064700 << 96 | (more & (1 << 32) - 1) << 64 | 0x02005EFE << 32 | v4,
}
mores = st.integers(0, (1 << 96) - 1)


@given(special_v4, mores)
def test_no_special_address_is_public_in_any_embedding(address: IPv4Address, more: int) -> None:
    assert not vet(str(address))
    for name, embed in EMBEDDED.items():
        embedded = IPv6Address(embed(int(address), more))
        assert not vet(str(embedded)), name
        assert not vet(str(embedded), allow_loopback=True) or embedded == IPv6Address("::1"), name


@given(special_v6)
def test_no_special_address_of_ipv6_is_public(address: IPv6Address) -> None:
    assert not vet(str(address))
    assert not vet(f"{address}%eth0", allow_loopback=True)


@given(st.ip_addresses())
def test_address_that_python_calls_private_is_not_public(address: IPv4Address | IPv6Address) -> None:
    # Python counts all of ::/8 as reserved, where NAT64 has its place.
    reserved = address.is_reserved and address not in IPv6Network("64:ff9b::/96")
    if not address.is_global or address.is_multicast or reserved:
        assert not vet(str(address))


@given(special_v4 | special_v6)
def test_admitting_loopback_admits_loopback_alone(address: IPv4Address | IPv6Address) -> None:
    ours = address in IPv4Network("127.0.0.0/8") or address == IPv6Address("::1")
    assert vet(str(address), allow_loopback=True) == ours


@given(st.ip_addresses(v=4), mores)
def test_nat64_alone_stands_for_its_embedded_address(address: IPv4Address, more: int) -> None:
    for name, embed in EMBEDDED.items():
        embedded = str(IPv6Address(embed(int(address), more)))
        assert vet(embedded) == (name == "NAT64" and vet(str(address)))


@pytest.mark.parametrize("server", ["8.8.8.8", "10.0.0.1"])
@pytest.mark.parametrize("client", ["8.8.8.8", "127.0.0.1"])
def test_teredo_is_refused_whatever_its_two_addresses_are(server: str, client: str) -> None:
    address = IPv6Address(
        0x20010000 << 96 | int(IPv4Address(server)) << 64 | 0x8000F3FF << 32 | int(IPv4Address(client)) ^ 0xFFFFFFFF
    )
    assert address.teredo == (IPv4Address(server), IPv4Address(client))
    assert not vet(str(address), allow_loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:830::200e",
        "3ffe:ffff::1",
        "2606:4700::5eff:808:808",
        "2606:4700::100:5efe:808:808",
        "2606:4700:0:5efe::1",
        "64:ff9b::101:101",
    ],
)
def test_addresses_beside_special_networks_are_public(address: str) -> None:
    assert vet(address)


@pytest.mark.parametrize(
    "text", ["", "hook.test", "127.1", "0x7f000001", "2130706433", "1.1.1.1 ", "1.1.1.01", "[::1]"]
)
def test_text_that_is_no_address_is_not_public(text: str) -> None:
    assert not vet(text, allow_loopback=True)
