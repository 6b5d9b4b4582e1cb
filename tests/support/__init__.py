"""Helpers for tests of every folder.

watchers.py    watchers of a job in four ways
waiting.py          the only way to wait: eventually
test_waiting.py     its tests
concurrency.py      concurrent calls from many threads
stack.py            the deployed stack of a test session, as fixtures
endpoint.py         a run of the tests against another endpoint: a plugin of pytest
calls.py          which functions of app.py reach a function of the library
client.py           a caller of the deployed API, and how its answers are checked
server.py           scripts/serve as a process of its own
sockets.py          a client of WebSockets
management.py       the management API of a gateway of WebSockets
up.py               scripts/up as a process of its own
repository.py       a repository without environments
program.py          any other command as a process of its own
gateway.py          the gateway's events, and calls of the application with an event
users.py            signed-in users and services
approvals.py        approval requests over HTTP
records.py          records past the API: system of record, view, history
coordination.py     locks, claims and rates of the deployed table, as fixtures
queue.py            a queue on moto, delivered as Lambda delivers
lanes.py            a collection with lanes, and a worker that drains lanes
extra_worker/       a queue with a function of its own beside the deployed ones
kill.py             workers killed at a chosen moment
lock_holder.py      a process holding a lock
receiver.py         a server recording callbacks and webhooks
node/               programs in Node: a receiver of webhooks, and a follower of a stream of events
workloads/          random steps against a deployed stack, and what must hold after
paths.py            paths and their statuses, the same at every entry point
upstream.py         a server behind the local proxy
ses.py              the mail service SES, as far as activation uses it
fcm_server.py       Firebase and Google's token server, as far as pushes use them
hostile_servers.py  misbehaving servers: stalling, dripping, lying
faulty_network.py   clocks in disagreement, and a network with lost, repeated and late requests
mongodb_commands.py a store's commands to MongoDB, and the server's plans for the commands
urls.py             forbidden URLs in many spellings
"""
