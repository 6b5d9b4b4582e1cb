"""Queues: work that a handler leaves to a worker.

queues.py       what a queue is, and a message
sender.py       sends messages, and reads how full queues are
outbox.py       side effects marked in the update that causes them
entries.py      an outbox's entries as MongoDB writes and reads them
consumer.py     a queue's messages, each worked on once
dead_letters.py dead letters: read, sent back, thrown away
sweep.py        each slice's sweep, every minute
wiring.py       the sender of this deployment
"""
