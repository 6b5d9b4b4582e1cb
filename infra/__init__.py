"""How Holdfast is packaged, deployed and run. Nothing here is shipped to a function.

environment.py  the virtual environments, made when missing
package.py      code and templates, as a build step
template.py     the two templates: chalice's, mended, and what holds data
deploy.py       to AWS, or to any endpoint that speaks like it
mends.py        what an emulator's CloudFormation leaves out, done by hand
indexes.py      MongoDB's indexes, made at deployment
admin.py        the first administrator
docs.py         pages made from code
console.py      what operators' commands share: which stack, how far, what a terminal may be shown
queues.py       the command line for queues
reproject.py    the command line that compares truth, history and view now
migrate.py      the command line that takes an existing collection over into records
takeover.py     its documents, decided on and made into records
source.py       its pages, and the bookmark in them
serve.py        the command line that serves the API from processes that stay
server.py       HTTP to API Gateway event and back, for these
paths.py        which route a path belongs to
local/          mongod, emulator and front as child processes
"""
