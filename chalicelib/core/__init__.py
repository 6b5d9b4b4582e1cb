"""The platform. It imports no slice; every slice stands on it.

errors.py     the error tree and the problem document of each error
models.py     the base of all models that cross the wire
slice.py      what a slice brings to the house, in one declaration

runtime/      settings, logs, clock, ids: one process and one invocation
stores/       clients, and DynamoDB and MongoDB as this service uses them
coordination/ locks, claims, rates, counts: decisions with one winner
egress/       calls to addresses that a user chose
queueing/     queues, their sender and consumer, dead letters
records/      versioned records, their history, and the view that lists read
web/          the application object, routes, the API's description

Imports run one way: web, records, queueing, then coordination or egress, then stores, then runtime.
"""
