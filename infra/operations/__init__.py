"""An operator's commands.

console.py   what they share: which stack, how far, what a terminal may be shown
queues.py    figures of queues, and their dead letters
reconcile.py compares records, history and view now
migration/   takes an existing collection over into records
"""
