"""Coordination: what must have one winner among all functions, decided by conditional writes to one table.

errors.py  what a caller learns when it is not the winner
locks.py   at most one holder at a time, with a token that only grows
claims.py  a piece of work is done once, also when whoever began it died
rates.py   not too often, across all instances
replay.py  a call with an Idempotency-Key is answered as it was
counts.py  numbers that move in the transaction of what they count
batches.py a queue's messages, each worked on once

No feature knows the items; features use the three classes, which `wiring` makes.
"""
