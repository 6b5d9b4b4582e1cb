"""The tasks that run in forks of the fork server: package, deploy, make the administrator.

Each task runs in a process of its own: it imports the application afresh, and its end frees what it loaded.
Arguments and results are JSON.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import ConnectionFailure

from infra.local.clients import Clients, ForeignClients, OwnClients, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

#: Imported before the fork, so that no task has to. Third parties only: the application may have changed since.
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
#: Those that a deployment asks; botocore's descriptions of them take long to read.
SERVICES = ("apigateway", "cloudformation", "dynamodb", "lambda", "s3")


def preload() -> None:
    """Load what tasks need and the application does not change."""
    for module in PRELOADED:
        import_module(module)
    nowhere = OwnClients("http://127.0.0.1:9")
    for service in SERVICES:
        nowhere.client(service)


def package(*, stage: str, folder: str, vendor: bool) -> None:
    """Build the package into *folder*."""
    from infra.deployment import package as builder  # noqa: PLC0415 - as all of the application, after the fork

    sys.argv = ["scripts/package", "--stage", stage, "--folder", folder, *(["--vendor"] if vendor else [])]
    builder.main()


def deploy(*, stage: str, folder: str, endpoint: str, variables: dict[str, str]) -> dict[str, Any]:
    """Deploy what was packaged into *folder*; return where the API is and which of its routes wait."""
    from infra.deployment import stacks as deployer  # noqa: PLC0415
    from infra.deployment.package import load  # noqa: PLC0415

    built = load(Path(folder))
    client = _clients(endpoint).client
    try:
        done = deployer.deploy(built, stage, client=client, variables=variables, aws=False)
    except ConnectionFailure as exc:
        # The rest of its words is the whole topology.
        raise Unreachable(f"The database does not answer: {str(exc).partition(', Timeout:')[0]}") from exc
    return {"api_url": done.api_url, "waiting": built.waiting}


def admin(*, stage: str, endpoint: str) -> str | None:
    """Make the first administrator; return the password if one was invented."""
    from infra.deployment.first_admin import ensure_admin  # noqa: PLC0415

    return ensure_admin(_clients(endpoint).client("dynamodb"), stage, os.environ)


#: Tasks by the name in a request to the fork server.
TASKS: dict[str, Callable[..., Any]] = {"package": package, "deploy": deploy, "admin": admin}


def explained(error: BaseException) -> str:
    """Return what went wrong, without the frames that lead from us to the application's own."""
    frames = traceback.extract_tb(error.__traceback__)
    # Our own errors, and those chalice makes for its readers, explain themselves.
    if type(error).__module__.startswith("infra.") or isinstance(error, (SystemExit, RuntimeError)):
        return str(error)
    inner = [frame for frame in frames if "/chalicelib/" in frame.filename or frame.filename.endswith("/app.py")]
    return "".join([*traceback.format_list(inner or frames), *traceback.format_exception_only(error)]).rstrip()


def _clients(endpoint: str) -> Clients:
    return OwnClients(endpoint) if endpoint else ForeignClients()
