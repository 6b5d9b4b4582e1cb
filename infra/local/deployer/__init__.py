"""Packages and deploys, in a process of its own.

deployer.py    packages and deploys for the stack
fork_server.py a process with everything loaded, which forks for each task
tasks.py       the tasks that run in forks
"""
