"""Ends a command with one sentence and an exit code: expected errors, Ctrl-C, and a reader that has gone away.

An expected error comes from the command's surroundings: the command line, settings, credentials, network, stores,
files. Any other error is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.environment import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exit codes as in shells: 128 and the number of the signal.
INTERRUPTED, READER_GONE = 130, 141
#: The text about a MONGODB_URI that cannot be parsed.
NO_URI = (
    "MONGODB_URI is not a connection string. Write mongodb://USER:PASSWORD@HOST:PORT/DATABASE, with special characters "
    "of user and password percent-encoded."
)
#: AWS's codes for credentials that are wrong, disabled or expired.
_REFUSED_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
#: MongoDB's code for a wrong user or password.
_AUTHENTICATION_FAILED = 18


class CommandFailed(Exception):
    """A command cannot do its work. The text is for the operator: what happened, and what to do."""


@contextmanager
def reporting(name: str, interrupted: str = "Interrupted.") -> Iterator[None]:
    """Exit with one sentence on standard error if the block of the command *name* ends by an expected error.

    The exit code is 1 for an expected error; 130 for Ctrl-C, after the sentence *interrupted*; 141 without a sentence
    if nobody reads standard output any more, as in ``| head``. Any other error passes.
    """
    try:
        try:
            yield
        finally:
            # Now, because Python's own flush at the end would print a traceback.
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_GONE)
    except Exception as error:
        if (said := sentence(error)) is None:
            raise
        own = isinstance(error, (CommandFailed, EnvironmentFailed))
        sys.exit(said if own else f"{name}: {said}")


def sentence(error: BaseException) -> str | None:
    """Return the text about an expected *error* for an operator, None for any other error."""
    if isinstance(error, (CommandFailed, EnvironmentFailed)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return _of_file(error)
    return _of_service(error) or _of_aws(error) or _of_mongodb(error)


def _of_service(error: BaseException) -> str | None:
    # Imported here, like the drivers below: a command that calls no store need not wait for them.
    from chalicelib.core.errors import Unavailable  # noqa: PLC0415
    from chalicelib.core.runtime.settings import BadSettings  # noqa: PLC0415
    from chalicelib.core.stores.binding import DatabaseRefused  # noqa: PLC0415

    return str(error) if isinstance(error, (BadSettings, DatabaseRefused, Unavailable)) else None


def _of_file(error: OSError) -> str:
    advice = " Choose a place where this user may write." if isinstance(error, PermissionError) else ""
    return f"{os.fsdecode(error.filename)}: {error.strerror}.{advice}"


def _of_aws(error: BaseException) -> str | None:
    from botocore import exceptions as aws  # noqa: PLC0415

    if isinstance(error, aws.NoRegionError):
        return "No AWS region is set. Set AWS_REGION, such as AWS_REGION=eu-central-1."
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return "No AWS credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    if isinstance(error, aws.ProfileNotFound):
        return f"{error}. Name a profile of ~/.aws/config in AWS_PROFILE."
    if isinstance(error, (aws.HTTPClientError, aws.ConnectionError)):
        return _unanswered(error)
    if isinstance(error, aws.ClientError):
        detail = error.response["Error"]
        advice = " Renew the credentials." if detail.get("Code") in _REFUSED_CREDENTIALS else ""
        return f"{detail.get('Message') or detail.get('Code')}{advice}"
    return str(error) if isinstance(error, aws.BotoCoreError) else None


def _unanswered(error: BaseException) -> str:
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        return f"AWS_ENDPOINT_URL names {endpoint}, which does not answer. Start the endpoint, or correct the variable."
    asked = getattr(error, "kwargs", {}).get("endpoint_url") or "AWS"
    return f"{asked} does not answer. Check the network, the proxy and AWS_REGION."


def _of_mongodb(error: BaseException) -> str | None:
    from pymongo import errors as mongodb  # noqa: PLC0415

    if isinstance(error, mongodb.ConnectionFailure):
        # The rest of the message describes the whole topology.
        reason = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        return f"The MongoDB of MONGODB_URI does not answer: {reason}. Start the server, or correct MONGODB_URI."
    if isinstance(error, mongodb.InvalidURI):
        # The driver's own words may quote a part of the password.
        return NO_URI
    if isinstance(error, mongodb.ConfigurationError):
        return f"MONGODB_URI cannot be used: {str(error).rstrip('.')}. Correct MONGODB_URI."
    if isinstance(error, mongodb.OperationFailure) and error.code == _AUTHENTICATION_FAILED:
        return "The MongoDB of MONGODB_URI refuses the user or the password. Correct MONGODB_URI."
    return str(error) if isinstance(error, mongodb.PyMongoError) else None
