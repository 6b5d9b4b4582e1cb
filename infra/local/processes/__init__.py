"""The processes of a local stack.

child.py         starting and ending child processes
mongod.py        the database
emulator.py      the AWS endpoint
emulator_main.py what runs inside the AWS endpoint's process
"""
