"""Messages: stored for a receiver first, and then pushed to the receiver's connections, once stored for any number.

models.py    messages and their shapes (no I/O)
errors.py    errors shown to callers
mailbox.py   the number and the limit of each receiver's undelivered messages
readers.py   the devices of receivers, and the messages that each has not acknowledged
store.py     messages in one MongoDB collection; one atomic update decides each step
joins.py     how far each connection has read
offer.py     offers messages to a connection, in batches
notices.py   when a receiver without a connection is notified
notify.py    notifies receivers by Firebase
stats.py     figures of the buffer, and the daily report
send.py      stores and pushes a message, or queues it while MongoDB is down
actions.py   the frames of clients
queues.py    the queues of messages that wait for MongoDB, and of notifications
settings.py  options
wiring.py    makes the stores, once per process
slice.py     the declaration of the slice
api.py       HTTP routes
worker.py    works off the queues, and runs the sweep
"""
