"""The API from long-running processes, for containers and for load. Imports nothing of infra/local.

__main__.py    the command line
worker.py      one process of it
wsgi.py        HTTP to API Gateway event and back
route_table.py which route a path belongs to
"""
