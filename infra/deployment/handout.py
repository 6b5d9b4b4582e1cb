"""README.txt of a built package: the steps by which another pipeline deploys the files, without this repository."""

from typing import NamedTuple

from infra.deployment import parameters
from infra.deployment.parameters import DATA

_TEXT = """\
Holdfast, packaged for the stage {stage}
========================================

data.json       the template of the data stack: tables, queues, secret, bucket, log groups, alarms
app.json        the template of the app stack: functions, gateways, roles; it names the two zip files beside it
deployment.zip  the code of all functions{wheels}
push.zip        the layer of the functions that push to devices: the packages that only these need
deployer.json   the rights that a deployment needs, as a policy of IAM
waiting.json    the routes that may hold a request for a while

With the repository at hand, one command does all steps with these files:

    scripts/deploy --stage {stage} --folder FOLDER

Without the repository, in this order, with AWS's command line:

1. The data stack. Tables and queues outlive their stack.

    aws cloudformation deploy --stack-name holdfast-{stage}-data --template-file data.json \\
        --parameter-overrides {data}

2. The secret. Put mongodbUri beside signingKey into the secret holdfast-{stage}, once.

3. The database. Its mark and its indexes need the repository:

    scripts/deploy --stage {stage} --folder FOLDER --only-database

4. The code. BUCKET and the other values are outputs of the data stack.

    aws cloudformation package --template-file app.json --use-json --s3-bucket BUCKET \\
        --output-template-file packaged.json
    aws cloudformation deploy --stack-name holdfast-{stage}-app --template-file packaged.json --s3-bucket BUCKET \\
        --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \\
        --parameter-overrides {app} {outputs}

5. Step 3 once more: until then, functions of the version before may have stored documents of that version. The command
   also makes the first administrator.

6. Protection, once the stage has come up:

    aws cloudformation deploy --stack-name holdfast-{stage}-data --template-file data.json \\
        --parameter-overrides {data} Protected=Yes
    aws cloudformation update-termination-protection --enable-termination-protection --stack-name holdfast-{stage}-data
    aws cloudformation update-termination-protection --enable-termination-protection --stack-name holdfast-{stage}-app

A deployment that fails returns to the version before by itself. To go back later, deploy the folder of that version.
"""


class Content(NamedTuple):
    """What deployment.zip holds beside the code: its packages, and bytecode by a Python of this version."""

    vendor: bool
    compiler: str | None


def text(stage: str, outputs: list[str], content: Content) -> str:
    """Return the text for *stage*. *outputs* are the app's parameters that are outputs of the data stack."""
    given = {"Stage": stage, **parameters.given(stage)}
    data = [f"{name}={value}" for name, value in given.items() if name == "Stage" or name in DATA]
    app = [f"{name}={value}" for name, value in given.items() if name == "Stage" or name not in DATA]
    return _TEXT.format(
        stage=stage,
        wheels=_held(content),
        data=" ".join(data),
        app=" ".join(app),
        outputs=" ".join(f"{name}=VALUE" for name in outputs),
    )


def _held(content: Content) -> str:
    if not content.vendor:
        return "; WITHOUT its packages (--vendor adds them)"
    held = ", with its packages as wheels for Lambda"
    if content.compiler:
        return f"{held}, and bytecode by Python {content.compiler}"
    return f"{held}; WITHOUT bytecode, so cold starts are slow"
