"""What is deployed, and how.

package.py        code and templates, as a build step
template.py       the two templates: chalice's, completed, and what holds data
policies.py       each function's role, of what the slices declare
resources.yaml    the data template: tables, secret, bucket
stacks.py         deploys through CloudFormation: to AWS, or to any endpoint that speaks like it
emulator_fixes.py what an emulator's CloudFormation leaves out, done by hand
indexes.py        MongoDB's indexes, made at deployment
first_admin.py    the first administrator
"""
