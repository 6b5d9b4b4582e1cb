"""What both gateways have beside routes: names that metrics show, access logs, and the throttling of all calls."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.deployment.loggroups import ACCESS
from infra.deployment.templating import sub

Template = dict[str, Any]


class Rate(NamedTuple):
    """Calls that a route takes, of all callers together: in a second, and at the same moment."""

    per_second: int
    burst: int


#: Routes that hash a password, which takes a function of 512 MB about 0.2 s. A flood of sign-ins from many addresses
#: keeps ten functions busy and leaves the account's others to all other calls; a thousand people who sign in at once
#: have done so within twenty seconds. A first password is set once by each user: ten a second are all the users whom
#: mails can reach at the default of MAIL_PER_SECOND.
THROTTLED: Mapping[str, Rate] = {"/api/sessions": Rate(50, 100), "/api/password": Rate(10, 20)}

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
    api["MethodSettings"] = [*throttled_routes(), {"ResourcePath": "/*", "HttpMethod": "*", **_throttled()}]
    sockets = template["Resources"]["WebsocketAPIStage"]["Properties"]
    sockets["AccessLogSettings"] = _logged(_SOCKETS)
    sockets["DefaultRouteSettings"] = _throttled()


def throttled_routes() -> list[Template]:
    """Return the gateway's settings of the routes that take fewer calls than all others."""
    return [
        {
            # CloudFormation wants the slashes of a path as ~1, save the first.
            "ResourcePath": "/" + path.replace("/", "~1"),
            "HttpMethod": "POST",
            "ThrottlingRateLimit": rate.per_second,
            "ThrottlingBurstLimit": rate.burst,
        }
        for path, rate in THROTTLED.items()
    ]


def _throttled() -> Template:
    return {"ThrottlingRateLimit": {"Ref": "CallsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "CallBurst"}}


def _logged(fields: tuple[str, ...]) -> Template:
    written = json.dumps({field.rpartition(".")[2]: f"$context.{field}" for field in fields})
    return {"Fn::If": ["Logged", {"DestinationArn": sub(_LOG_ARN), "Format": written}, {"Ref": "AWS::NoValue"}]}
