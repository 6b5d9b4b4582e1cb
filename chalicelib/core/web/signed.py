"""Calls that a secret signs in place of a session: the text that is signed, with the headers of Standard Webhooks."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

from chalice.app import Request

from chalicelib.core.web import requests
from chalicelib.core.web.source import Address, source_of

#: The header that holds the signatures; a call without the header is not signed.
HEADER = "webhook-signature"


class Signed(NamedTuple):
    """A call with a signature that nobody has verified yet."""

    #: The parameters of the path, not validated.
    params: Mapping[str, str]
    #: The text under the signature: method, path and query.
    text: str
    #: The headers; a name matches in any case.
    headers: Mapping[str, str]
    source: Address | None


def read(request: Request) -> Signed | None:
    """Return the signed call of *request*, or None if *request* has no signature. Verifies nothing."""
    if HEADER not in request.headers:
        return None
    sent: Any = request.query_params
    query = [(name, value) for name in sent for value in sent.getlist(name)] if sent else []
    return Signed(
        {name: unquote(value) for name, value in (request.uri_params or {}).items()},
        text_of(request.method, unquote(requests.concrete(request)), query),
        request.headers,
        source_of(request.context, request.headers),
    )


def text_of(method: str, path: str, query: list[tuple[str, str]]) -> str:
    """Return the text to be signed: ``GET /path?a=1&b=2``, with the query in the order of its names.

    A gateway passes parameters decoded and in any order, so the text is made of names and values. *path* is the path
    below the deployment's address, without the stage of a gateway.
    """
    asked = urlencode(sorted(query), quote_via=quote, safe="", errors="replace")
    place = quote(path, safe="/", errors="replace")
    return f"{method} {place}?{asked}" if asked else f"{method} {place}"
