"""HTTP: a request becomes a model, a handler's model becomes an answer.

application.py the application object: one request, one answer, one log line
routes.py      routes, roles, and the dispatch of a request to its handler
requests.py    what a request must pass
credentials.py where a request carries its token
idempotency.py a call with an Idempotency-Key is answered as it was
paging.py      signed cursors
openapi.py     the API's own description, from the same models
"""
