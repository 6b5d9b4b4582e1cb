"""HTTP: requests become models, and the models that handlers return become responses.

application.py the application object: one request, one response, one log record
roles.py       roles, and the caller of a request
routes.py      routes: a handler and its options
dispatch.py    the function that chalice calls for a route: admission, handler, response
models.py      the base of queries, and pages of lists
reserved.py    words of routes that no caller may choose as an id
requests.py    validation of body, query, path and headers
accept.py      reads the Accept header
messages.py    sentences for invalid fields, in place of pydantic's
source.py      the source address of a request
credentials.py reads the token of a request, in header or cookie
signed.py      the text of a call that a secret signs in place of a session
idempotency.py repeats the response to a call with an Idempotency-Key
paging.py      signed cursors
streams.py     streams of events for a browser's EventSource
frames.py      actions, topics and events of WebSocket connections
openapi.py     the OpenAPI description, generated from routes and models

A slice's ``api.py`` imports from this package everything that routes need.
"""

from chalicelib.core.web.models import Page, PageQuery, Query
from chalicelib.core.web.roles import ADMIN_ONLY, NOBODY, PUBLIC, SIGNED_IN, Caller, Role
from chalicelib.core.web.routes import Answer, Call, Routes

__all__ = [
    "ADMIN_ONLY",
    "NOBODY",
    "PUBLIC",
    "SIGNED_IN",
    "Answer",
    "Call",
    "Caller",
    "Page",
    "PageQuery",
    "Query",
    "Role",
    "Routes",
]
