"""HTTP: a request becomes a model, a handler's model becomes an answer.

application.py the application object: one request, one answer, one log line
roles.py       what a caller may be, and who the caller is
routes.py      routes: a handler, and what is known of it besides its code
dispatch.py    what chalice calls for one route: admission, handler, answer
models.py      the base of queries, and pages of lists
requests.py    what a request must pass
credentials.py where a request carries its token
idempotency.py a call with an Idempotency-Key is answered as it was
paging.py      signed cursors
openapi.py     the API's own description, from the same models

A slice's ``api.py`` finds here all that its routes are made of.
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
