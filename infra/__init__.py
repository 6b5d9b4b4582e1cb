"""How Holdfast is packaged, deployed, run and operated. Nothing here is shipped to a function.

environment.py the virtual environments, made when missing
docs.py        pages made from code

deployment/    the package, the two templates and the stacks; on AWS or any endpoint that speaks like it
local/         the whole stack on this machine: scripts/up
server/        the API from long-running processes: scripts/serve; the part that a container runs
operations/    an operator's commands: queues, reconcile, migrate
host/          this machine: ports and processes
"""
