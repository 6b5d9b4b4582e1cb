"""The platform. Core imports no slice; every slice builds on core.

errors.py     the error tree and the problem document of each error
models.py     the base of all models of requests, responses and messages
slice.py      the declaration of a slice: routes, queues, kinds of record, options, sweep

runtime/      settings, logs, clock, ids: one process and one invocation
stores/       clients, and DynamoDB and MongoDB as this service uses them
coordination/ locks, claims, rates, counts: decisions with one winner
egress/       outbound calls to addresses that a user chose
queueing/     queues, their sender and consumer, dead letters
records/      versioned records, their history, and the view that lists read
web/          the application object, routes, the API's description

Imports run one way: web, records, queueing, then coordination or egress, then stores, then runtime.
"""
