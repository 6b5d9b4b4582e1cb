"""DynamoDB and its streams, forwarded to another endpoint; LocalStack's own DynamoDB is a program to be downloaded.

LocalStack loads `tables` and `streams` for ``PROVIDER_OVERRIDE_DYNAMODB=forward`` and
``PROVIDER_OVERRIDE_DYNAMODBSTREAMS=forward``. Requests go to the URL in `URL` as they came, but for their keys.
"""

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from localstack.aws.api import RequestContext
from localstack.aws.forwarder import AwsRequestProxy
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.http import Response
from localstack.services.plugins import Service, aws_provider

if TYPE_CHECKING:
    from collections.abc import Callable

#: The variable with the URL, given by `infra.conformance.endpoint`.
URL = "HOLDFAST_DYNAMODB_URL"
#: The other endpoint knows no keys of LocalStack's roles; ``test`` is its root user.
_CREDENTIAL = re.compile(r"Credential=[^/]+/")


def _forwarding(name: str) -> Service:
    """Return the service *name* with every operation forwarded."""
    model = load_service(name)
    forward = partial(_forwarded, AwsRequestProxy(os.environ[URL], parse_response=False))
    table: dict[str, Callable[..., Any]] = dict.fromkeys(model.operation_names, forward)
    return Service(name=name, skeleton=Skeleton(model, table))


def _forwarded(proxy: AwsRequestProxy, context: RequestContext, _request: Any) -> Any:
    headers = context.request.headers
    headers["Authorization"] = _CREDENTIAL.sub("Credential=test/", headers.get("Authorization", ""))
    headers.pop("X-Amz-Security-Token", None)
    answer = proxy.forward(context)
    # Handed on as it came. Refusals carry the items before them, which LocalStack's own form of an error would lose.
    return Response(answer.get_data(), answer.status_code, answer.headers)


@aws_provider(api="dynamodb", name="forward")  # type: ignore[untyped-decorator] # LocalStack is not installed here
def tables() -> Service:
    """Return DynamoDB."""
    return _forwarding("dynamodb")


@aws_provider(api="dynamodbstreams", name="forward")  # type: ignore[untyped-decorator] # as above
def streams() -> Service:
    """Return the streams of DynamoDB."""
    return _forwarding("dynamodbstreams")
