"""Approvals: a question put to a person, and their answer, whichever instance it reaches.

models.py    what a request is, and what may be asked
errors.py    what can go wrong, in words a caller understands
transitions.py conditions and updates, as MongoDB decides by them (no I/O)
store.py     where requests live: one MongoDB collection; one atomic update decides
wait.py      how a caller waits for the answer
outbox.py    what follows a change: dispatched, and ended
callback.py  the outcome, sent to the address the caller named
api.py       HTTP routes
queues.py    the ``approval`` queue and its messages
settings.py  options
wiring.py    makes the store, once per process
slice.py     what this slice brings
worker.py    the ``approval`` queue, and the sweep
"""
