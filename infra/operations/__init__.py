"""Commands for operators.

target.py        finds a command's stack
failures.py      the sentence and the exit code of a failed command
account.py       the administrator whom a command acts as
servers.py       reaches AWS and MongoDB by the variables of an operator's shell
running_stack.py the note file of a stack on this machine
progress.py      progress bars, and safe text for a terminal
queues.py        queue statistics and dead letters
reconcile.py     compares records, history and view now
migration/       imports an existing collection into records
verification/    verifies a deployed stage: scripts/verify
webhooks/        shows deliveries as they arrive, and checks saved ones
"""
