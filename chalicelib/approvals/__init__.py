"""Approvals: puts a question to people and keeps the answer, on any instance.

models.py    requests, answers and their shapes over HTTP
errors.py    errors shown to callers
transitions.py state transitions as conditions and pipelines for MongoDB (no I/O)
documents.py reads stored documents of requests (no I/O)
counts.py    counts of requests by state, with bounded work (no I/O)
deliveries.py where a question has arrived, by device (no I/O)
reach.py     notes in a request where its question has arrived
store.py     requests in one MongoDB collection; one atomic update decides each transition
upgrade.py   fills in the account ids of earlier versions' requests
wait.py      waits for an answer
outbox.py    dispatches and ends a request's outbox entries
events.py    events for WebSocket connections, and the topics of approvals
callback.py  sends the outcome to the caller's callback address
api.py       HTTP routes
queues.py    the queues of escalations and timeouts, pushes and callbacks
settings.py  options
wiring.py    makes the store, outbox, lanes and waiter, once per process
slice.py     the declaration of the slice
worker.py    works off the queues, and runs the sweep
"""
