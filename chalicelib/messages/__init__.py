"""Messages: stored for a receiver first, and then pushed to the receiver's connections, once stored for any number.

models.py    messages and their shapes (no I/O)
errors.py    errors shown to callers
mailbox.py   the number and the limit of each receiver's undelivered messages
store.py     messages in one MongoDB collection; one atomic update decides each step
settings.py  options
wiring.py    makes the stores, once per process
slice.py     the declaration of the slice
"""
