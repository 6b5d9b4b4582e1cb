"""Schemathesis's settings and hooks for this API.

hooks.py           loaded by schemathesis: facts beyond the description
schemathesis.toml  checks and number of cases
"""
