"""The source address of a request: from the connection, or through proxies that a setting names.

A caller can send any X-Forwarded-For header. So the header counts only as far as trusted proxies wrote the header.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from chalicelib.core.runtime import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: A provider gives a customer a /64 at least, so a host has any number of addresses in its own /64.
_IPV6_PREFIX = 64


def source_of(context: Mapping[str, Any], headers: Mapping[str, str]) -> Address | None:
    """Return the source address of a request with the gateway's request *context* and lower-case or folded *headers*.

    The peer's address counts. If the peer is a trusted proxy (``HTTP_TRUSTED_PROXIES``), the right-most address of
    X-Forwarded-For that is no trusted proxy counts; if all are trusted, the left-most. Addresses to the left of a
    malformed entry never count. None if the gateway names no peer. Never raises.
    """
    identity = context.get("identity")
    found = _peer(str(identity.get("sourceIp"))) if isinstance(identity, Mapping) else None
    trusted = settings.load(settings.HttpSettings).trusted_proxies
    if found is None or not trusted:
        return found
    return _walk(found, reversed(str(headers.get("x-forwarded-for") or "").split(",")), trusted)


def parsed(text: Any) -> Address | None:
    """Return the address in *text*, an IPv4-mapped IPv6 address as IPv4; None for any other text. Never raises."""
    try:
        # A zone names an interface of the host that wrote the address, and tells callers apart for nobody else.
        address = ip_address(str(text).strip().partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=1024)
def _peer(text: str) -> Address | None:
    """Return the address of a connection's peer. The same peers call again, and a gateway writes the text."""
    return parsed(text)


def network_of(address: Address) -> Network:
    """Return the network that one customer of a provider controls: an IPv4 address, or the /64 of an IPv6 address."""
    return ip_network((address, _IPV6_PREFIX if isinstance(address, IPv6Address) else 32), strict=False)


def _walk(peer: Address, hops: Iterable[str], trusted: Collection[Network]) -> Address:
    """Return the first address on the way from *peer* to the caller that is no trusted proxy."""
    found = peer
    for hop in hops:
        if not any(found in network for network in trusted):
            return found
        address = parsed(hop)
        if address is None:
            return found
        found = address
    return found
