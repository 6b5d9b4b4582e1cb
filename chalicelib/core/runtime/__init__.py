"""What one process and one invocation need; no store and no request is known here.

settings.py every option, one class per module
logs.py     one line per invocation, and its metrics
deadline.py how long this invocation may still run
backoff.py  how long to pause before the next attempt
ids.py      identifiers
clock.py    the time, as it is kept
once.py     memoize, thread-safe
"""
