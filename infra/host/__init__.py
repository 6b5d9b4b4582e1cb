"""Ports and processes of this machine, for local/ and server/.

ports.py           TCP ports on 127.0.0.1
logfile.py         log files for their owner alone
interpreter.py     the Python of the functions' runtime
processes.py       identifies processes beyond reused process ids
die_with_parent.py ends a child process together with its parent
"""
