"""What both gateways have beside routes: names that metrics show, access logs, and the throttling of all calls."""

import json
from typing import Any

from infra.deployment.loggroups import ACCESS
from infra.deployment.templating import sub

Template = dict[str, Any]

#: Fields of an access log. The path has no query string, because tickets stand there.
_HTTP = ("requestId", "identity.sourceIp", "httpMethod", "path", "protocol", "status", "responseLength")
_HTTP_TIMES = ("responseLatency", "integrationLatency", "requestTimeEpoch", "error.responseType")
_SOCKETS = ("requestId", "identity.sourceIp", "connectionId", "eventType", "routeKey", "status", "requestTimeEpoch")
_LOG_ARN = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{ACCESS}"


def add(template: Template) -> None:
    """Name the API, log its calls if the stage says so, and throttle all calls of the app *template*."""
    api = template["Resources"]["RestAPI"]["Properties"]
    # The metrics of a gateway carry the API's name: two stages of one account must not share the name.
    api["Name"] = api["DefinitionBody"]["info"]["title"] = sub("holdfast-${Stage}")
    api["AccessLogSetting"] = _logged((*_HTTP, *_HTTP_TIMES))
    api["MethodSettings"].append({"ResourcePath": "/*", "HttpMethod": "*", **_throttled()})
    sockets = template["Resources"]["WebsocketAPIStage"]["Properties"]
    sockets["AccessLogSettings"] = _logged(_SOCKETS)
    sockets["DefaultRouteSettings"] = _throttled()


def _throttled() -> Template:
    return {"ThrottlingRateLimit": {"Ref": "CallsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "CallBurst"}}


def _logged(fields: tuple[str, ...]) -> Template:
    written = json.dumps({field.rpartition(".")[2]: f"$context.{field}" for field in fields})
    return {"Fn::If": ["Logged", {"DestinationArn": sub(_LOG_ARN), "Format": written}, {"Ref": "AWS::NoValue"}]}
