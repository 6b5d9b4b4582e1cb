"""Versioned records. DynamoDB is the system of record; its stream projects each state to view, events and history.

models.py    records, kinds, versions, and the difference of two states (no I/O)
errors.py    the reasons for refusing a write
store.py     the system of record: one item per record, one conditional update per edit or annotation
etags.py     reads and writes the version in ETag and If-Match
repeats.py   recognises the repeat of an operation in a refused write
codec.py     a record as a DynamoDB item and back; update expressions
history.py   every version: who wrote it, when, and the document
view.py      the read model for lists: copies in MongoDB, replaced by newer states only
shape.py     the public JSON of a record, kept in its copy as text
reshape.py   renders the texts of an earlier shape anew
count_cache.py caches the lengths of lists for at most a second
events.py    events of versions, and the subscriptions of queues
project.py   the projector: applies the stream to view, subscribers and history
reconcile.py compares system of record, history and view, and repairs the difference
lost_versions.py finds and publishes versions whose stream event was lost
queues.py    the ``repair`` queue
wiring.py    view, store, history and projector, once per process; the kinds that slices declare
worker.py    the stream, the ``repair`` queue and the schedule
"""
