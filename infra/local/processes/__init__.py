"""The processes of a local stack.

child.py         starts and ends child processes
mongod.py        the database
emulator.py      the AWS endpoint
emulator_main.py the program of the AWS endpoint's process
receiver.py      the receiver of callbacks
receiver_main.py the program of the receiver's process
"""
