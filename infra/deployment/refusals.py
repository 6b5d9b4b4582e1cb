"""The errors of the HTTP gateway itself, as problems (RFC 9457) that every page may read."""

import json
from http import HTTPStatus
from typing import Any

from chalicelib.core import errors

#: The gateway's own errors, and the statuses that Holdfast answers with instead.
_STATUSES = {
    "MISSING_AUTHENTICATION_TOKEN": HTTPStatus.NOT_FOUND,
    "RESOURCE_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "ACCESS_DENIED": HTTPStatus.FORBIDDEN,
    "INVALID_SIGNATURE": HTTPStatus.FORBIDDEN,
    "EXPIRED_TOKEN": HTTPStatus.FORBIDDEN,
    "WAF_FILTERED": HTTPStatus.FORBIDDEN,
    "UNAUTHORIZED": HTTPStatus.UNAUTHORIZED,
    "BAD_REQUEST_BODY": HTTPStatus.BAD_REQUEST,
    "BAD_REQUEST_PARAMETERS": HTTPStatus.BAD_REQUEST,
    "REQUEST_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "UNSUPPORTED_MEDIA_TYPE": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "THROTTLED": HTTPStatus.TOO_MANY_REQUESTS,
    "QUOTA_EXCEEDED": HTTPStatus.TOO_MANY_REQUESTS,
    "API_CONFIGURATION_ERROR": HTTPStatus.BAD_GATEWAY,
    "INTEGRATION_FAILURE": HTTPStatus.BAD_GATEWAY,
    "INTEGRATION_TIMEOUT": HTTPStatus.GATEWAY_TIMEOUT,
    "DEFAULT_5XX": HTTPStatus.BAD_GATEWAY,
}
_WITH_RETRY = {HTTPStatus.TOO_MANY_REQUESTS}
#: Headers by which a page of any origin may read a gateway error. The headers of gateway errors cannot depend on the
#: request, the errors hold no user's data, and without Allow-Credentials a browser shows no answer to a call by cookie.
_FOR_EVERY_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
}


def responses() -> dict[str, Any]:
    """Return the answer to each kind of error, for the extension of API Gateway."""
    return {kind: _response(status) for kind, status in _STATUSES.items()}


def _response(status: HTTPStatus) -> dict[str, Any]:
    body = errors.problem(status, status.description or errors.phrase(status), "$context.requestId")
    headers = {"gatewayresponse.header.Content-Type": f"'{errors.PROBLEM}'"}
    own = {"Retry-After": "1"} if status in _WITH_RETRY else {}
    headers |= {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in (_FOR_EVERY_ORIGIN | own).items()}
    return {
        "statusCode": str(int(status)),
        "responseParameters": headers,
        "responseTemplates": {"application/json": json.dumps(body)},
    }
