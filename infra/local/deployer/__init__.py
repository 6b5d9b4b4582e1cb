"""Packages and deploys, in a process of its own.

deployer.py    what the stack asks
fork_server.py a process with everything loaded
tasks.py       what its forks do
"""
