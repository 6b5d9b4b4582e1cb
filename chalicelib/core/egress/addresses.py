"""Which IP addresses may be called: public addresses, and loopback addresses on a developer's machine."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

#: Every special-purpose IPv4 network (IANA IPv4 Special-Purpose Address Registry, RFC 6890), multicast and reserved
#: networks. Python's ``is_global`` differs between patch releases and lets multicast through.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # not in the registry: the host's agent on Azure
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: The range from which IANA assigns global unicast; every address outside is refused.
_UNICAST_V6 = IPv6Network("2000::/3")
#: Special networks inside the range: protocol assignments with Teredo, documentation (two), 6to4, and AS112.
_SPECIAL_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
#: The IPv6 form that DNS64 gives to an IPv4 address in a network without IPv4 (RFC 6052); the embedded address decides.
_NAT64 = IPv6Network("64:ff9b::/96")
#: The first half of an ISATAP interface identifier; the second half is an IPv4 address (RFC 5214, section 6.1).
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")


def vet(address: str, *, allow_loopback: bool = False) -> bool:
    """Return whether *address* is the public unicast address of a host on the internet.

    An IPv6 address that embeds an IPv4 address (mapped, 6to4, Teredo, ISATAP) is always refused, also if the embedded
    address is public, as no receiver publishes such an address. In a NAT64 address the embedded IPv4 address decides.
    *allow_loopback* admits 127.0.0.0/8 and ::1 in the plain form, never embedded.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if allow_loopback and (found in _LOOPBACK_V4 or found == _LOOPBACK_V6):
        return True
    return _is_public(found)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return _is_public(IPv4Address(address.packed[-4:]))
    if address.packed[8:12] in _ISATAP:
        return False
    return address in _UNICAST_V6 and not any(address in network for network in _SPECIAL_V6)
