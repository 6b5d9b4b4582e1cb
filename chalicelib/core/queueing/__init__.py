"""Queues: work that handlers leave to workers.

queues.py       the declaration of a queue, and the base of messages
sender.py       sends messages, and reads how full queues are
outbox.py       side effects, stored in the update that causes the effects
entries.py      pipeline expressions that write and read outbox entries
attempts.py     does a piece of work once: claims, counts attempts, gives up
delivery.py     the records of an SQS event, redelivered unless settled
consumer.py     processes each message of a queue once
batches.py      claims and finishes the new messages of a batch together
lanes.py        the entries of an outbox that call users' addresses, by lane
slots.py        how many workers serve an owner's lanes, and which lanes are closed
wakes.py        the message "this lane has work"
drain.py        the worker of lanes
dead_letters.py the stored dead letters
keeper.py       the worker that stores dead letters
redrive.py      sends dead letters back, or deletes them
sweep.py        each slice's sweep, every minute
wiring.py       the sender of this deployment
"""
