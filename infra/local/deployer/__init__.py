"""Packages and deploys in a separate process.

deployer.py    packages and deploys for the stack
fork_server.py a process with all imports loaded that forks for each task
tasks.py       the tasks that run in forks
"""
