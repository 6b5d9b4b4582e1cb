"""Ports and processes of this machine, for local/ and server/, and the installers.

ports.py           TCP ports on 127.0.0.1
logfile.py         log files for their owner alone
installer.py       runs pip and uv with the caller's settings
interpreter.py     the Python of the functions' runtime
runtime.py         the interpreter that functions run on here
processes.py       identifies processes beyond reused process ids
die_with_parent.py ends a child process together with its parent
"""
