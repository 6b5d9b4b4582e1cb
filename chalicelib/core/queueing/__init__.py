"""Queues: work that handlers leave to workers.

queues.py       the declaration of a queue, and the base of messages
sender.py       sends messages, and reads how full queues are
outbox.py       side effects, stored in the update that causes the effects
entries.py      pipeline expressions that write and read outbox entries
consumer.py     processes each message of a queue once
dead_letters.py reads, redrives and purges dead letters
sweep.py        each slice's sweep, every minute
wiring.py       the sender of this deployment
"""
