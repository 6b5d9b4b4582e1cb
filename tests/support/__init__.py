"""What tests of every folder stand on.

waiting.py          the one way to wait: eventually
test_waiting.py     its tests
concurrency.py      many threads at the same instant
stack.py            the deployed stack of a test session, as fixtures
client.py           a caller of the deployed API, and how its answers are checked
server.py           scripts/serve as a process of its own
up.py               scripts/up as a process of its own
gateway.py          the gateway's events, and a call of the application with one
users.py            people and services who are signed in
approvals.py        questions put to people over HTTP
records.py          records past the API: system of record, view, history
coordination.py     locks, claims and rates of the deployed table, as fixtures
queue.py            a queue on moto, delivered as Lambda delivers
extra_worker/       a queue with a function of its own beside the deployed ones
kill.py             workers killed at a chosen moment
lock_holder.py      a process that holds a lock
receiver.py         a server that keeps the callbacks it receives
upstream.py         a server behind the local proxy
fcm_server.py       Firebase, as far as a push needs it
hostile_servers.py  servers that stall, drip and lie
faulty_network.py   clocks that disagree, and a network that loses, repeats and delays
mongodb_commands.py the commands that a store sends to MongoDB, and the plans the server has for them
urls.py             addresses that nobody may call, and spellings of them
"""
