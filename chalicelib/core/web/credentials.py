"""Reads the token of a request: from the Authorization header, or from a browser's cookie."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from chalicelib.core import errors
from chalicelib.core.runtime import settings

#: Methods of calls that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NAME = "holdfast"


def read_credential(method: str, headers: Mapping[str, str]) -> str | None:
    """Return the token of a request, or None. A header takes precedence over a cookie.

    Raises:
        OriginRefused: an unsafe call has only a cookie, and does not come from an allowed page.
        Unauthenticated: the header is present and holds no bearer token.
    """
    if (authorization := headers.get("authorization")) is not None:
        return _bearer(authorization)
    token = _cookie(headers.get("cookie", ""))
    if token is not None and method not in SAFE and not _from_allowed_page(headers):
        raise errors.OriginRefused
    return token


def set_cookie(token: str) -> str:
    """Return the Set-Cookie header that keeps *token* until the browser closes; the session may expire earlier."""
    return f"{cookie_name()}={token}; {_attributes()}"


def clear_cookie() -> str:
    """Return the Set-Cookie header that makes a browser delete the token."""
    return f"{cookie_name()}=; Max-Age=0; {_attributes()}"


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.Unauthenticated
    return token.strip()


def _cookie(header: str) -> str | None:
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == cookie_name():
            return value or None
    return None


def _from_allowed_page(headers: Mapping[str, str]) -> bool:
    """Return whether the calling page has the API's own origin, or an origin that is allowed by name.

    The gateway's stage is part of the path and not of an origin. The setting "*" permits reading by any page, and no
    calls by cookie.
    """
    origin = headers.get("origin", "").lower()
    if origin in settings.load(settings.HttpSettings).allowed_origins - {"*"}:
        return True
    try:
        page = urlsplit(origin)
    except ValueError:
        # Python's parser refuses some texts, such as an IPv6 address without its closing bracket.
        return False
    https_only = settings.load(settings.CookieSettings).secure
    return (
        bool(page.netloc)
        and page.netloc == headers.get("host", "").lower()
        and (page.scheme == "https" or not https_only)
    )


def cookie_name() -> str:
    """Return the name of the cookie that holds a token."""
    # The prefix prevents other hosts of the domain from planting a cookie; browsers accept the prefix over https alone.
    return f"__Host-{_NAME}" if settings.load(settings.CookieSettings).secure else _NAME


def _attributes() -> str:
    secure = "; Secure" if settings.load(settings.CookieSettings).secure else ""
    return f"Path=/; HttpOnly; SameSite=Strict{secure}"
