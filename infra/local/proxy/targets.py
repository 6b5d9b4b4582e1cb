"""Requests that the proxy refuses by their head alone: no gateway takes them, and nothing of them is forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs

from infra.local.proxy import problems

if TYPE_CHECKING:
    from aiohttp import web

#: Methods that are for proxies and for tests of the way to a server (RFC 9110, sections 9.3.6 and 9.3.8).
_REFUSED_METHODS = frozenset({hdrs.METH_CONNECT, hdrs.METH_TRACE})


def refused(request: web.BaseRequest) -> web.Response | None:
    """Return the problem that answers *request*, or None for a request that may be forwarded.

    CONNECT and TRACE are 405. A target that is no path (``http://host/path``, ``*``) is 400. A body with a
    Content-Encoding is 415; nothing is unpacked.
    """
    if request.method in _REFUSED_METHODS:
        return problems.not_allowed()
    if not request.raw_path.startswith("/"):
        return problems.no_path()
    encodings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, []))
    if any(name.strip().lower() not in {"", "identity"} for name in encodings.split(",")):
        return problems.encoded()
    return None
