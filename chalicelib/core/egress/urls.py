"""Parses a URL once and strictly: texts on which parsers disagree are refused, and no code parses the text again."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from chalicelib.core.egress.errors import AddressRefused

_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_LONGEST_URL = 2048
_LONGEST_NAME = 253
#: Characters on which parsers disagree: spaces, controls and backslashes. Outside a host a URL is ASCII.
_STRANGE = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)]|(?P<name>[^][:@%]+))(?::(?P<port>[0-9]{0,5}))?")
_TARGET = re.compile(r"[!-~]*")
#: A label of a name (RFC 1123, section 2.1), and underscores, which occur in practice.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: Last labels by which some parsers read a name as an IPv4 address, in octal or hexadecimal (WHATWG URL, "ends in a
#: number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Target(NamedTuple):
    """The parts of a parsed URL; no code parses the text again."""

    scheme: str
    #: A name in ASCII without its last dot, or an address without brackets.
    host: str
    port: int
    #: Path and query, in the form of the request line (RFC 9112, section 3.2.1).
    path: str

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which needs no lookup."""
        return ":" in self.host or self.host.replace(".", "").isdecimal()

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """Parse *url* (RFC 3986).

    Raises:
        AddressRefused: another parser could read *url* differently, or *url* is invalid; the error carries the reason.
    """
    if len(url) > _LONGEST_URL or _STRANGE.search(url):
        raise AddressRefused("This is too long for an address, or has a space, control character or backslash in it.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressRefused("This is not an address.") from None
    if parts.scheme not in _PORTS or not parts.netloc:
        raise AddressRefused("An address begins with http:// or https:// and a host.")
    if "@" in parts.netloc or "#" in url:
        raise AddressRefused("An address has no user name, password or fragment here.")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if not authority:
        raise AddressRefused("The host is not a name or an IP address, or its port is not a number.")
    return Target(parts.scheme, _host(authority), _port(authority, parts.scheme), _path(parts))


def _host(authority: re.Match[str]) -> str:
    """Return the host in one form for lookup, connection, certificate and Host header."""
    name = _ascii(authority["name"] or "").removesuffix(".")
    labels = name.split(".")
    try:
        if authority["v6"]:
            return str(IPv6Address(authority["v6"]))
        if _NUMBER.fullmatch(labels[-1]):
            return str(IPv4Address(name))
    except AddressValueError:
        raise AddressRefused("An IP address is written in its usual form: 192.0.2.1 or [2001:db8::1].") from None
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host is not a name.")
    return name


def _ascii(written: str) -> str:
    """Return a name in lower-case ASCII (UTS #46, not transitional, as browsers do)."""
    if written.isascii():
        return written.lower()
    # Imported here: few names need idna, and its tables are large.
    import idna  # noqa: PLC0415

    try:
        return idna.encode(written, uts46=True).decode()
    except UnicodeError:
        raise AddressRefused("The host is not a name.") from None


def _port(authority: re.Match[str], scheme: str) -> int:
    port = int(authority["port"] or _PORTS[scheme])
    if not 0 < port <= _LAST_PORT:
        raise AddressRefused("A port is a number from 1 to 65535.")
    return port


def _path(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(path):
        raise AddressRefused("Path and query are written in ASCII, with the rest percent-encoded.")
    return path
