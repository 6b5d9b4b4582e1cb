"""Workloads against a deployed stack: each takes random steps by `act`, and `check` asserts the guarantees at the end.

activation.py activations of new, known and impossible addresses, and the mails that they send
endpoints.py  receivers of webhooks that fail for a moment
hooks.py      a webhook, and what its endpoint has taken
messages.py   messages between two users, by calls and frames
progress.py   a job elsewhere, and its watchers
devices.py    devices of one receiver that come and go, and senders that repeat until they are answered
sockets.py    connections that come, break and are signed out, and the events they get
webhooks.py   changes of applications, answers, and the webhooks that follow them
"""
