"""This machine, for local/ and server/.

ports.py           TCP ports on 127.0.0.1
processes.py       which process a number means
die_with_parent.py a child process ends when its parent does
"""
