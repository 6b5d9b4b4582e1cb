"""The API driven from its own description: what schemathesis must know of this API, and how it is run.

hooks.py           loaded by schemathesis: what no description can say
schemathesis.toml  which checks, how many cases
"""
