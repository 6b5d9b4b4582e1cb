"""Serves the API from long-running processes, for containers and for load. Imports nothing of infra/local.

__main__.py    the command line
announce.py    reports of the start and of the end
worker.py      the start of a server process
wsgi.py        HTTP to API Gateway event and back
route_table.py finds the route of a path
"""
