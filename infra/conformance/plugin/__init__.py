"""What runs inside LocalStack's process, on LocalStack's own interpreter, and in the processes of functions.

executor.py  runs a function as a process instead of a container
process.py   such a process, seen from outside
worker.py    the process of a function: a program of its own, on the standard library alone
tables.py    forwards DynamoDB and its streams to the emulator of ``scripts/up``
"""
