"""``scripts/up`` as a command.

commands.py     what it does about a stack that runs
supervisor.py   one run, from start to end
data_folder.py  one data folder and its lock
detach.py       starting in the background
reload.py       deploying again whenever a file is saved
terminal.py     what a person at the terminal sees
log_follower.py what the functions log, as it comes
"""
