"""Requests that the proxy refuses by their head alone: no gateway takes them, and nothing of them is forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs

from infra.local.proxy import problems

if TYPE_CHECKING:
    from aiohttp import web


def refused(request: web.BaseRequest) -> web.Response | None:
    """Return the problem that answers *request*, or None for a request that may be forwarded.

    CONNECT is 405. A target that is no path (``http://host/path``, ``*``) is 400. A body with a
    Content-Encoding is 415; nothing is unpacked.
    """
    if request.method == hdrs.METH_CONNECT:
        return problems.not_allowed()
    if not request.raw_path.startswith("/"):
        return problems.no_path()
    encodings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, []))
    if any(name.strip().lower() not in {"", "identity"} for name in encodings.split(",")):
        return problems.encoded()
    return None
