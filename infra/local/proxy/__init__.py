"""The HTTP server in front of a local stack.

server.py    listens
admission.py bounds how many requests are under way
forward.py   hands a request to the emulator's gateway
problems.py  answers of its own, and those the emulator words otherwise than AWS would
"""
