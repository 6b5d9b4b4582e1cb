"""The HTTP server in front of a local stack.

server.py      listens
connections.py bounds the connections, and the time for a head
targets.py     refuses requests that no gateway takes
admission.py   bounds the concurrent requests
forward.py     sends a request to the emulator's gateway
bridge.py      joins a WebSocket connection to a connection of the emulator's gateway
problems.py    problem documents of the proxy, and translations of the emulator's internal errors
"""
