"""Verifies a deployed stage by using its API, as an administrator does.

__main__.py the command line of scripts/verify
caller.py   calls the API, and says in a sentence what is wrong with an answer
address.py  finds the address of a stage's API
steps.py    what is verified, step by step, and the removal of what was made
"""
