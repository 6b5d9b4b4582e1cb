"""Translates driver exceptions: an unreachable store becomes `Unavailable`; anything else is a bug and propagates."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable
from pymongo.errors import ConnectionFailure, PyMongoError

from chalicelib.core.errors import Unavailable

#: DynamoDB's error codes for overload and internal failure, after the SDK's own retries.
_BUSY = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


@contextmanager
def reaching_mongodb() -> Iterator[None]:
    """Raise `Unavailable` if MongoDB is down, exceeds the deadline or has no primary."""
    try:
        yield
    except PyMongoError as error:
        if isinstance(error, ConnectionFailure) or error.timeout:
            raise Unavailable("MongoDB cannot be reached just now.") from error
        raise


@contextmanager
def reaching_aws() -> Iterator[None]:
    """Raise `Unavailable` if an AWS service is down, or still throttles after the SDK's retries."""
    try:
        yield
    except (Unreachable, HTTPClientError) as error:
        raise Unavailable("An AWS service cannot be reached just now.") from error
    except ClientError as error:
        if error.response["Error"]["Code"] in _BUSY:
            raise Unavailable("An AWS service is busy just now.") from error
        raise
