"""Holdfast: what stateless functions cannot keep, kept for them.

Shared modules (no slice is imported from them):

settings.py   every option, one class per module
errors.py     the error tree and the problem each one becomes
shapes.py     the base of all models that cross the wire
checks.py     what a request must pass
http.py       request to model, model to answer, roles
gateway.py    the application object: one request, one answer, one log line
openapi.py    the API's own description, from the same models
paging.py     signed cursors
logs.py       one line per invocation, and what it counts
outages.py    a driver's error, told as ours
attributes.py plain values as DynamoDB's, and back
dynamo.py     conditional writes, and items in and out of DynamoDB
queues.py     every queue, declared once
deadline.py   how long this invocation may still run
ids.py        identifiers
clock.py      the time, as it is kept
tokens.py     where a request carries its token
signatures.py what we send is signed, as Standard Webhooks says
sweeps.py     what runs every minute
once.py       what a process makes once, however many threads ask
wiring.py     the only place that makes clients and stores

Slices, each with the rooms it needs (models errors store api worker):

coordination/ locks, claims and rates, for every slice
egress/       calls to addresses that a user chose, for every slice
records/      whatever has versions: the truth, its history, the view that lists read

applications/ asked for, decided and paid out
ledger/       what was paid, as one chain

cluster/      health and readiness
users/        who may sign in, and with which roles
sessions/     who is signed in
approvals/    a question put to a person, and their answer
devices/      who has which device, and pushing to them
"""
