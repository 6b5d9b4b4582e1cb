"""The lab: a local stack with a clock that can jump forward. ``scripts/clock`` is the command.

preload.py   libfaketime: the variables that put a process under the stack's clock
clock.py     the stack's clock: its file, its time, its offset
moment.py    reads the target of a jump, and shows times and durations
flip.py      moves the clock of all processes at once
emulator.py  asks the AWS endpoint for running work and waiting messages
watch.py     watches that work, inside the endpoint's process
due.py       asks the slices for their due moments, in a process under the stack's clock
schedules.py invokes the scheduled functions
journey.py   a jump that visits each due moment on its way
lab.py       the lab of a running stack, for ``scripts/clock`` and for tests
"""
