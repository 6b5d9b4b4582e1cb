"""Applications for money: versioned, moved from state to state, and paid out once.

models.py   applications, and the legal moves of their status
search.py   queries of lists, and the search keys of applications
errors.py   errors shown to callers
refusals.py says which field or move a status refuses
importing.py converts a document of another system into an application
store.py    lists of applications, read from the read model by its indexes
disburse.py pays out exactly once, however many calls ask
wiring.py   makes the store, once per process
slice.py    the declaration of the slice
api.py      HTTP routes
"""
