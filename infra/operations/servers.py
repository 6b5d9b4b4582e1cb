"""Reaches AWS and MongoDB by the variables of an operator's shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
from pymongo import MongoClient

from infra.operations.failures import NO_URI, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A server that has not answered by then is not there, or is not reachable from here.
_ANSWER_MS = 4_000


def region_of(environ: Mapping[str, str]) -> str | None:
    """Return the region that *environ* names: AWS_REGION wins over AWS_DEFAULT_REGION, as in AWS's SDKs and CLI."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def aws_session(environ: Mapping[str, str]) -> Any:
    """Return a session of botocore in the region of `region_of`, else in the region of the profile."""
    session = botocore.session.get_session()
    # botocore itself reads AWS_DEFAULT_REGION alone.
    if region := region_of(environ):
        session.set_config_variable("region", region)
    return session


def check_mongodb(uri: str) -> None:
    """Return if the MongoDB of *uri* answers, within four seconds.

    Raises:
        CommandFailed: *uri* is not a connection string.
        PyMongoError: no server answers, or the server refuses the user.
    """
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=_ANSWER_MS)
    except ValueError:
        # A port that is no number, or a broken IPv6 address. The text could quote a part of the password.
        raise CommandFailed(NO_URI) from None
    with client:
        client.admin.command("ping")
