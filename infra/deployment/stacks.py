"""Deploys through CloudFormation, to AWS or to a compatible endpoint. No other way to deploy exists."""

import argparse
import copy
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from botocore.config import Config

from chalicelib.core.stores.binding import DatabaseRefused
from infra.deployment import (
    cloudformation,
    database,
    destroying,
    emulator_fixes,
    first_admin,
    layer,
    packages,
    parameters,
    quotas,
    secret,
)
from infra.deployment.cloudformation import DeployFailed
from infra.deployment.database import Wanted
from infra.deployment.package import Package, build, check_folder, check_stage, load
from infra.deployment.template import minified
from infra.environment import ROOT
from infra.operations.failures import reporting
from infra.operations.servers import aws_session, check_mongodb

#: For the first call: an endpoint that cannot be reached would otherwise take minutes.
_IMPATIENT = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})

Client = Callable[[str], Any]


class Deployed(NamedTuple):
    """The URLs of the API and of its WebSockets, and the outputs of both stacks."""

    api_url: str
    sockets_url: str
    outputs: dict[str, str]


def deploy(
    package: Package,
    stage: str,
    *,
    client: Client,
    variables: dict[str, str],
    aws: bool,
    mongodb_uri: str = "",
    exclusive: bool = False,
) -> Deployed:
    """Deploy *package* as *stage*: the data stack, the database, the code, the app stack. Safe to repeat; data is kept.

    *variables* are added to every function's environment. The database is marked and gets its indexes as
    `database.prepare` says, by *mongodb_uri*, else by ``MONGODB_URI`` of *variables*, else by the URI in the secret;
    *exclusive* says that MongoDB serves this deployment alone. A secret without a URI gets *mongodb_uri*. If *aws* is
    false, the properties that emulators ignore are set afterwards (`emulator_fixes`).

    Raises:
        DeployFailed: a stack could not be made or updated, or the database was refused. The earlier deployment stays.
    """
    stacks, values = client("cloudformation"), {"Stage": stage, **parameters.given(stage)}
    if guarded := cloudformation.parameter(stacks, f"holdfast-{stage}-data", parameters.PROTECTED):
        values |= {parameters.PROTECTED: guarded}
    given = parameters.of(values, package.data)
    data = cloudformation.apply(stacks, f"holdfast-{stage}-data", given, TemplateBody=minified(package.data))
    wanted = Wanted(mongodb_uri, None, exclusive)
    _prepare_database(package, stage, client, variables, wanted)
    if mongodb_uri and secret.complete(client("secretsmanager"), stage, mongodb_uri):
        print(f"The secret holdfast-{stage} had no connection string, and has that of MONGODB_URI now.", flush=True)
    # At an emulator, the template's address of WebSockets does not lead to the emulator.
    variables = ({} if aws else emulator_fixes.variables(client)) | variables
    app, template = _deploy_app(package, f"holdfast-{stage}-app", values | data, client, variables)
    # Until now, functions of the version before stored documents of that version.
    _prepare_database(package, stage, client, variables, wanted)
    if aws:
        return Deployed(*_urls(app), data | app)
    emulator_fixes.apply(client, app, package.data, template, stage)
    return Deployed(*emulator_fixes.urls(client, app), data | app)


def _deploy_app(
    package: Package, name: str, values: Mapping[str, str], client: Client, variables: dict[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Upload the code, deploy the app stack *name* with the parameters among *values*; return outputs and template."""
    s3, bucket = client("s3"), values["PackagesBucket"]
    code = packages.upload(s3, bucket, package.code.read_bytes(), "zip")
    extra = packages.upload(s3, bucket, package.layer.read_bytes(), "layer") if package.layer else ""
    template = _pointed(package, bucket, code, variables)
    if extra:
        template["Resources"][layer.LOGICAL]["Properties"]["ContentUri"] = {"Bucket": bucket, "Key": extra}
    # The template goes through S3, because a call takes at most 51,200 bytes of template.
    key = packages.upload(s3, bucket, minified(template).encode(), "json")
    url, given = f"{s3.meta.endpoint_url}/{bucket}/{key}", parameters.of(values, template)
    app = cloudformation.apply(client("cloudformation"), name, given, TemplateURL=url)
    packages.prune(s3, bucket, {code, extra, key})
    return app, template


def _urls(app: dict[str, str]) -> tuple[str, str]:
    """Return the URLs of API and WebSockets that AWS serves."""
    return app["EndpointURL"].rstrip("/"), app.get("WebsocketConnectEndpointURL", "").rstrip("/")


def _prepare_database(package: Package, stage: str, client: Client, variables: dict[str, str], wanted: Wanted) -> None:
    """Prepare the database that the functions will use: before the functions, so that a refusal changes nothing."""
    uri = wanted.uri or variables.get("MONGODB_URI", "")
    named = {**_declared(package), **variables}.get("MONGODB_DATABASE")
    try:
        database.prepare(client, stage, wanted._replace(uri=uri, named=named))
    except DatabaseRefused as refused:
        raise DeployFailed(str(refused)) from refused


def _declared(package: Package) -> dict[str, str]:
    """Return the environment variables of the package's functions, which the stage's configuration declares."""
    found: dict[str, str] = {}
    for resource in package.app["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            found |= resource["Properties"].get("Environment", {}).get("Variables", {})
    return found


def _pointed(package: Package, bucket: str, key: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the app template with the code's location and the *variables* filled in."""
    template = copy.deepcopy(package.app)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
            resource["Properties"]["Environment"]["Variables"] |= variables
    return template


def check(stage: str, session: Any, environ: Mapping[str, str]) -> None:
    """Return if a deployment of *stage* can begin, after a few seconds at most. Nothing is changed.

    Raises:
        CommandFailed: the stage, its parameters, the administrator's password or MONGODB_URI cannot be used, or the
            account's limit of concurrent executions is too small.
        BotoCoreError, ClientError: region or credentials are missing, or AWS does not answer or refuses the caller.
        PyMongoError: the server of MONGODB_URI does not answer.
    """
    check_stage(stage)
    first_admin.given_password(environ)
    parameters.given(stage)
    cloudformation.describe(session.create_client("cloudformation", config=_IMPATIENT), f"holdfast-{stage}-data")
    if "AWS_ENDPOINT_URL" not in environ:
        quotas.check_concurrency(session.create_client("lambda", config=_IMPATIENT), parameters.variables(stage))
        if parameters.given(stage).get("AccessLogs") == "On":
            quotas.check_log_role(session.create_client("apigateway", config=_IMPATIENT))
    if uri := environ.get("MONGODB_URI"):
        check_mongodb(uri)
        if "AWS_ENDPOINT_URL" not in environ:
            limit = quotas.concurrency(session.create_client("lambda", config=_IMPATIENT))
            print(quotas.connection_budget(uri, limit, parameters.variables(stage)))


def protect(stacks: Any, stage: str) -> None:
    """Protect both stacks of *stage* against deletion, and the tables. Safe to repeat.

    Only after a deployment has succeeded: CloudFormation could not roll back the creation of a protected table.
    """
    cloudformation.protect(stacks, f"holdfast-{stage}-data", **{parameters.PROTECTED: "Yes"})
    cloudformation.protect(stacks, f"holdfast-{stage}-app")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Deploys to the AWS account of the environment's credentials, or to AWS_ENDPOINT_URL if set.",
        epilog="AWS_REGION names the region. MongoDB is reached by MONGODB_URI, else by the URI in the stage's secret. "
        "A secret without a URI gets MONGODB_URI. The deployment marks its database and creates indexes. "
        "MONGODB_DATABASE names the database (docs/operations.md has the rules). If HOLDFAST_ADMIN_PASSWORD is set, "
        "the user admin gets this password and the role admin, now and at every deployment; else a password is "
        "generated for the first administrator and shown once.",
    )
    parser.add_argument(
        "--folder", type=Path, help="deploy what scripts/package built there, in place of a new package"
    )
    parser.add_argument(
        "--only-database", action="store_true", help="set the mark and the indexes, and make the administrator, only"
    )
    parser.add_argument(
        "--destroy", action="store_true", help="delete the stage with all its data instead, after a question"
    )
    parser.add_argument("--stage", required=True, help="a stage of .chalice/config.json, such as dev or prod")
    return parser.parse_args(arguments)


def run(stage: str, folder: Path | None = None, *, only_database: bool = False) -> None:
    """Check, package and deploy *stage*; print the URL and the administrator.

    With *folder*, the package that was built there is deployed. *only_database* leaves both stacks as they are.
    """
    session, aws = aws_session(os.environ), "AWS_ENDPOINT_URL" not in os.environ
    check(stage, session, os.environ)
    package = _package(stage, folder)
    print("deploying ...", flush=True)
    # On AWS the connection string stays in the secret. On an emulator, functions read it from their environment.
    passed = ("MONGODB_DATABASE",) if aws else ("MONGODB_DATABASE", "MONGODB_URI")
    variables = {name: os.environ[name] for name in passed if os.environ.get(name)}
    uri = os.environ.get("MONGODB_URI", "")
    if only_database:
        _prepare_database(package, stage, session.create_client, variables, Wanted(uri))
        print("The database has its mark and its indexes, if the stage has a URI.")
        _show(first_admin.ensure_admin(session.create_client("dynamodb"), stage, os.environ))
        return
    done = deploy(package, stage, client=session.create_client, variables=variables, aws=aws, mongodb_uri=uri)
    protect(session.create_client("cloudformation"), stage)
    admin = first_admin.ensure_admin(session.create_client("dynamodb"), stage, os.environ)
    print(f"API       {done.api_url}\nsockets   {done.sockets_url}")
    _show(admin)


def _show(admin: first_admin.Administrator) -> None:
    print(f"user      {first_admin.NAME}, {admin.state}")
    if admin.password:
        print(f"password  {admin.password}   (not shown again)")


def _package(stage: str, folder: Path | None) -> Package:
    if folder is None:
        print("packaging, with wheels for Lambda ...", flush=True)
        return build(stage, vendor=True, folder=ROOT / "build" / stage)
    package = load(folder)
    check_folder(stage, package)
    return package


def main(arguments: list[str]) -> None:
    """Deploy as the command ``scripts/deploy``; exit with a sentence on failure."""
    asked = parsed(arguments)
    with reporting("deploy", "Interrupted. CloudFormation completes a change that has begun; deploy again to finish."):
        if asked.destroy:
            destroying.destroy(asked.stage, aws_session(os.environ).create_client)
            return
        run(asked.stage, asked.folder, only_database=asked.only_database)


if __name__ == "__main__":
    main(sys.argv[1:])
