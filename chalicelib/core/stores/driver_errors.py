"""A driver's error, told as ours: a store that cannot be reached is `Unavailable`, all else is a fault of this code."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable
from pymongo.errors import ConnectionFailure, PyMongoError

from chalicelib.core.errors import Unavailable

#: What DynamoDB says when it is busy or broken, after the SDK's own retries.
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
    """Raise `Unavailable` where MongoDB is down, slow beyond its deadline or without a primary."""
    try:
        yield
    except PyMongoError as error:
        if isinstance(error, ConnectionFailure) or error.timeout:
            raise Unavailable("MongoDB cannot be reached just now.") from error
        raise


@contextmanager
def reaching_aws() -> Iterator[None]:
    """Raise `Unavailable` where an AWS service is down or throttles beyond the SDK's retries."""
    try:
        yield
    except (Unreachable, HTTPClientError) as error:
        raise Unavailable("An AWS service cannot be reached just now.") from error
    except ClientError as error:
        if error.response["Error"]["Code"] in _BUSY:
            raise Unavailable("An AWS service is busy just now.") from error
        raise
