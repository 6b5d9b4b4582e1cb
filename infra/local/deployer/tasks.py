"""The tasks that run in forks of the fork server: package, deploy, make the administrator.

Each task runs in a process of its own. The process imports the current application, and frees all memory at its end.
Arguments and results are JSON.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.clients import Clients, ForeignClients, OwnClients
from infra.operations import failures

if TYPE_CHECKING:
    from collections.abc import Callable

#: Imported before the fork, to save each task the time. Third-party modules only: the application may change later.
PRELOADED = (
    "argon2",
    "aws_lambda_powertools.metrics",
    "botocore.session",
    "chalice.cli",
    "chalice.cli.factory",
    "chalice.package",
    "itsdangerous",
    "pydantic_settings",
    "pymongo",
    "ulid",
)
#: The services that a deployment calls. Loading botocore's service descriptions takes long.
SERVICES = ("apigateway", "cloudformation", "dynamodb", "lambda", "s3")


def preload() -> None:
    """Import third-party modules and load service descriptions for later tasks."""
    for module in PRELOADED:
        import_module(module)
    nowhere = OwnClients("http://127.0.0.1:9")
    for service in SERVICES:
        nowhere.client(service)


def check() -> None:
    """Return if the variables of the shell can serve a start.

    Raises:
        CommandFailed: the administrator's password has a length that the API would refuse.
    """
    from infra.deployment.first_admin import given_password  # noqa: PLC0415

    given_password(os.environ)


def package(*, stage: str, folder: str, vendor: bool) -> None:
    """Build the package into *folder*."""
    from infra.deployment import package as builder  # noqa: PLC0415 - application code is imported after the fork

    sys.argv = ["scripts/package", "--stage", stage, "--folder", folder, *(["--vendor"] if vendor else [])]
    builder.main()


def deploy(*, stage: str, folder: str, endpoint: str, variables: dict[str, str], exclusive: bool) -> dict[str, Any]:
    """Deploy the package in *folder*; return the URLs of API and WebSockets, and the routes that may hold a request.

    *exclusive* says that the database's server belongs to this stack alone.
    """
    from infra.deployment import stacks as deployer  # noqa: PLC0415
    from infra.deployment.package import load  # noqa: PLC0415

    built = load(Path(folder))
    client = _clients(endpoint).client
    done = deployer.deploy(built, stage, client=client, variables=variables, aws=False, exclusive=exclusive)
    return {"api_url": done.api_url, "sockets_url": done.sockets_url, "waiting": built.waiting}


def admin(*, stage: str, endpoint: str) -> dict[str, Any]:
    """Make or restore the first administrator. Return the state, and the password if generated, else None."""
    from infra.deployment.first_admin import ensure_admin  # noqa: PLC0415

    return ensure_admin(_clients(endpoint).client("dynamodb"), stage, os.environ)._asdict()


#: Tasks by the name in a request to the fork server.
TASKS: dict[str, Callable[..., Any]] = {"check": check, "package": package, "deploy": deploy, "admin": admin}


def explained(error: BaseException) -> str:
    """Return the error text for an operator: the message, with a traceback limited to the application if possible."""
    # An error about a file may be the application's own, while chalice imports it: then its place is worth more.
    if not isinstance(error, OSError) and (said := failures.sentence(error)) is not None:
        return said
    # Errors of infra, and chalice's errors for its users, need no traceback.
    if type(error).__module__.startswith("infra.") or isinstance(error, (SystemExit, RuntimeError)):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    inner = [frame for frame in frames if "/chalicelib/" in frame.filename or frame.filename.endswith("/app.py")]
    return "".join([*traceback.format_list(inner or frames), *traceback.format_exception_only(error)]).rstrip()


def _clients(endpoint: str) -> Clients:
    return OwnClients(endpoint) if endpoint else ForeignClients()
