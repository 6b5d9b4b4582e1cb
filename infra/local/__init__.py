"""The local stack: the same template as on AWS, deployed to an emulator beside a real MongoDB.

stack.py     starts and stops the whole stack, for ``scripts/up`` and for the tests
variables.py the environment variables that a local stack gives to every function
clients.py   AWS clients, for the stack's own endpoint or for a foreign endpoint
threads.py   tasks at the same time

cli/         ``scripts/up`` as a command; __main__.py is its options
processes/   the database and the AWS endpoint as child processes
proxy/       the short, stable URL in front of the API
deployer/    packages and deploys, in a process of its own
lab/         a clock that can jump: ``scripts/up --lab`` and ``scripts/clock``
"""
