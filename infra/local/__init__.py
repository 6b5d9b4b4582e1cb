"""The local stack: the same template as on AWS, deployed to an emulator beside a real MongoDB.

mongod.py    the database as a child process
emulator.py  the AWS endpoint as a child process; launcher.py is what runs inside it
child.py     starting and ending child processes; tether.py makes them die with us
front.py     the short, stable URL in front of the deployed API
stack.py     all of it together, for ``scripts/up`` and for the tests
__main__.py  ``scripts/up``: options, signals, what is shown
"""
