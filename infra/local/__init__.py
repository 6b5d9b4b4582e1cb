"""The local stack: the same template as on AWS, deployed to an emulator beside a real MongoDB.

stack.py     all of it together, for ``scripts/up`` and for the tests
mongod.py    the database as a child process
emulator.py  the AWS endpoint as a child process; launcher.py is what runs inside it
front.py     the short, stable URL: forward.py passes on, admission.py bounds, problems.py words
deployer.py  packaging and deploying; zygote.py is a process with all of it loaded, tasks.py what its forks do
child.py     starting and ending child processes: tether.py makes them die with us, processes.py tells them apart
clients.py   AWS clients, of our endpoint or of another one

__main__.py  ``scripts/up``: its options; commands.py is what it does about a stack that runs
supervisor.py  one run of it: start, watch, end; background.py starts one behind the terminal
state.py     what a data folder knows about what runs on it
screen.py    what is shown; logs.py reads what functions say, reload.py redeploys on save
ports.py     TCP ports on this machine
"""
