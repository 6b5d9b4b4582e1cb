"""Services for one process and one invocation, independent of stores and requests.

settings.py every option, one class per module
logs.py     one log record per invocation, and its metrics
deadline.py the time left to the current invocation
bound.py    a context variable with a value inside a block
waiting.py  tells the server of a process that the current request waits
backoff.py  how long to pause before the next attempt
ids.py      identifiers
accounts.py the identity of a user, beyond the name
clock.py    times in the text form of the stores
hops.py     how many deliveries of webhooks led to the call
once.py     memoize, thread-safe
"""
