"""``scripts/up`` as a command.

commands.py     shows, stops and describes a stack that runs
supervisor.py   one run, from start to end
data_folder.py  one data folder and its lock
detach.py       starting in the background
reload.py       deploying again whenever a file is saved
terminal.py     the reports of a start, and log lines
log_follower.py follows the functions' logs
"""
