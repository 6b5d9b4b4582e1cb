"""Commands for operators.

target.py        finds the stack that a command works on
running_stack.py the note file of a stack that runs on this machine
progress.py      progress bars, and text that is safe for a terminal
queues.py        queue statistics and dead letters
reconcile.py     compares records, history and view now
migration/       imports an existing collection into records
"""
