"""``scripts/conformance``: the integration tests against another implementation of AWS.

command.py       the command: makes the environment, starts the processes, runs the tests
__main__.py      the options
localstack.py    LocalStack 4.14.0 as a child process
differences.py   the known differences, each with its cause and the tests that it concerns
plugin/          what LocalStack loads: functions as processes, DynamoDB forwarded to the emulator of ``scripts/up``
"""
