"""``scripts/up`` as a command.

commands.py     shows, stops and describes a running stack
supervisor.py   a run from start to end
data_folder.py  a data folder and its lock
detach.py       starts in the background
reload.py       deploys again whenever a file is saved
terminal.py     reports of a start, and log records
log_follower.py follows the functions' logs
"""
