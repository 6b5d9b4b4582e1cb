"""An operator's commands.

target.py        the stack that a command works on
running_stack.py the note of a stack that runs on this machine
progress.py      progress bars, and text that a terminal may show
queues.py        queue statistics and dead letters
reconcile.py     compares records, history and view now
migration/       imports an existing collection into records
"""
