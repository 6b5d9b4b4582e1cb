"""Translates driver exceptions: an unreachable store becomes `Unavailable`; anything else is a bug and propagates.

Each store has a breaker, so calls of a store that is known to be down fail at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pymongo
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable
from pymongo.errors import AutoReconnect, ConnectionFailure, NetworkTimeout, NotPrimaryError, PyMongoError

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.once import once
from chalicelib.core.stores.breaker import Breaker, Down

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
_AWS_NAMES = {
    "apigatewaymanagementapi": "API Gateway",
    "dynamodb": "DynamoDB",
    "secretsmanager": "Secrets Manager",
    "sqs": "SQS",
}
#: The longest that a probe of MongoDB waits for the answer to a ping.
_PING_SECONDS = 0.5
#: A call that was given up sooner says nothing about MongoDB: its caller was in a hurry.
_TELLING_SECONDS = 1.0


@once
def mongodb_breaker() -> Breaker:
    """Return this process's breaker of MongoDB."""
    return Breaker("MongoDB")


@once
def aws_breaker(service: str) -> Breaker:
    """Return this process's breaker of an AWS *service*. A single lost connection is no outage yet."""
    return Breaker(_AWS_NAMES[service], threshold=2)


@contextmanager
def reaching_mongodb() -> Iterator[None]:
    """Raise `Unavailable` if MongoDB is down, was found down, exceeds the deadline or has no primary."""
    with mongodb_breaker().call() as probing:
        if probing:
            _ping()
        began = monotonic()
        try:
            yield
        except PyMongoError as error:
            if _is_down(error, monotonic() - began):
                raise Down from error
            if isinstance(error, ConnectionFailure) or error.timeout:
                raise Unavailable("MongoDB cannot be reached just now.") from error
            raise


@contextmanager
def reaching_aws(service: str) -> Iterator[None]:
    """Raise `Unavailable` if *service* is down, was found down, or still throttles after the SDK's retries."""
    with aws_breaker(service).call():
        try:
            yield
        except (Unreachable, HTTPClientError) as error:
            raise Down from error
        except ClientError as error:
            if error.response["Error"]["Code"] in _BUSY:
                raise Unavailable("An AWS service is busy just now.") from error
            raise


def _ping() -> None:
    """Raise `Down` unless MongoDB answers a ping soon."""
    try:
        with pymongo.timeout(_PING_SECONDS):
            mongodb_breaker().ping()
    except PyMongoError as error:
        raise Down from error


def _is_down(error: PyMongoError, after_seconds: float) -> bool:
    """Return whether MongoDB gave no answer at all. A timeout that the server itself reports is an answer."""
    if isinstance(error, NetworkTimeout):
        return after_seconds >= _TELLING_SECONDS
    return isinstance(error, AutoReconnect) and not isinstance(error, NotPrimaryError)
