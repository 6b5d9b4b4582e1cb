"""Coordination: decisions with one winner among all functions, by conditional writes to one table.

errors.py  the errors for callers that did not win
locks.py   at most one holder at a time, with a growing fencing token
claims.py  idempotency records: a piece of work is done once, also if an attempt dies
rates.py   rate limits across all instances
places.py  how many requests may wait at the same time, in MongoDB
wiring.py  locks, claims, rates, counts and places of this deployment, once per process
counts.py  exact counts, changed in the transaction of the counted work

Features never touch the items; features use the classes, which `wiring` makes.
"""
