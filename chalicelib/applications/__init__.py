"""Applications for money: versioned, moved from state to state, and paid out once.

models.py   what an application is, and which moves its status may make
search.py   what lists are asked, and what they find applications by
errors.py   what can go wrong, in words a caller understands
importing.py an application as another system has kept it
store.py    lists of applications: their view, found by its indexes
disburse.py paying out, once whoever asks and however often
wiring.py   makes the store, once per process
slice.py    what this slice brings
api.py      HTTP routes
"""
