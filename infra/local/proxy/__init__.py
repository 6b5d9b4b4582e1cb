"""The HTTP server in front of a local stack.

server.py    listens
admission.py bounds the concurrent requests
forward.py   sends a request to the emulator's gateway
problems.py  problem documents of the proxy, and translations of the emulator's internal errors
"""
