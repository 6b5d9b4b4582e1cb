"""Packages, deploys, runs and operates Holdfast. Nothing here is shipped to a function.

environment.py  the virtual environments, made when missing
requirements.py the locked requirement files
audit.py        known vulnerabilities of the locked packages
docs/           generates the pages that come from code
commits.py      the length of commit subjects
vendor.py       the console's vendored packages
run.py          runs a command of scripts/ by its name

deployment/     the package, the two templates and the stacks; on AWS or a compatible endpoint
conformance/    the integration tests against another endpoint: scripts/conformance
local/          the whole stack on this machine: scripts/up
server/         the API from long-running processes: scripts/serve; the part for containers
operations/     an operator's commands: queues, reconcile, migrate
host/           this machine: ports and processes
"""
