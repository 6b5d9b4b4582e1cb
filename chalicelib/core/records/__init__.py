"""Records: whatever has versions. Committed once, to DynamoDB; its stream carries each state to all that follow it.

models.py    what a record is, and how two states of it differ
errors.py    why a record was not written
store.py     the truth: one item per record, one conditional update per write
etags.py     which version a request means
codec.py     a record as an item, and back
history.py   every version: who, when, and what it was
view.py      what lists read: a copy in MongoDB that only ever moves to a higher version
count_cache.py how many a list has, remembered for a moment
events.py    the event that every version is, and the queues of those who asked for it
project.py   the projector: carries states from the stream to view, subscribers and history
reconcile.py the walk that compares truth, history and view
lost_versions.py the versions that the stream has lost
queues.py    the ``repair`` queue
wiring.py    makes these, once per process; knows the kinds that slices declare
worker.py    the stream, the ``repair`` queue and the schedule
"""
