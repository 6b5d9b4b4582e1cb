"""Coordination: what must have one winner among all functions, decided by conditional writes to one table.

errors.py  what a caller learns when it is not the winner
locks.py   at most one holder at a time, with a token that only grows
claims.py  a piece of work is done once, also when whoever began it died
rates.py   not too often, across all instances
wiring.py  makes these, once per process
counts.py  numbers that move in the transaction of what they count

No feature knows the items; features use the three classes, which `wiring` makes.
"""
