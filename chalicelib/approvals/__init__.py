"""Approvals: a question put to a person, and their answer, whichever instance it reaches.

models.py  what a request is, and what may be asked
errors.py  what can go wrong, in words a caller understands
store.py   where requests live: one MongoDB collection; one atomic update decides
wait.py    how a caller waits for the answer
api.py     HTTP routes
worker.py  the sweep: what nobody answered in time
"""
