"""Packages the application and deploys it.

package.py        code and templates, as a build step
bytecode.py       bytecode in the package, by a Python of the runtime
wheels.py         the locked packages as wheels for Lambda, and the file of the layer
layer.py          the layer of the functions that push to devices, for the app template
handout.py        README.txt of a built package
template.py       the two templates: chalice's, completed, and the data template
parameters.py     the parameters of both templates, and their values in .chalice/config.json
templating.py     small forms that the parts of both templates share
alarms.py         the alarms of both stacks, and the topic that they notify
gateways.py       names, access logs and throttling of both gateways
refusals.py       the errors of the HTTP gateway itself
loggroups.py      the log group of each function
quotas.py         the account's limits, compared before a deployment
packages.py       the bucket of packages and templates
policies.py       each function's role, composed of the slices' declarations
resources.yaml    the data template: tables, secret, bucket
cloudformation.py makes or updates a stack, and waits until the stack has settled
expand.py         SAM's expansion of a template, in the emulator's environment
lint.py           cfn-lint and parliament, for scripts/check
stacks.py         deploys through CloudFormation: to AWS or to a compatible endpoint
emulator_fixes.py sets the properties that an emulator's CloudFormation ignores
destroying.py     deletes a stage with its data, after a question
deployer.yaml     the rights that a deployment needs
database.py       the deployment's MongoDB database: the mark, the indexes, the refusals
secret.py         the connection string in the stage's secret
indexes.py        MongoDB's indexes, and upgrades of documents
first_admin.py    the first administrator, and the set of administrators
"""
