"""A flood of logins under fresh names from one address ends at a limit, and stops nobody at another address."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from json import dumps, loads
from time import monotonic, sleep
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from chalicelib.sessions.settings import LoginSettings
from infra.deployment import gateways
from infra.local.stack import Stack
from tests.support.client import DEADLINE_SECONDS, Client, json_of
from tests.support.stack import NewPerson

pytestmark = pytest.mark.stack

_PERIOD_SECONDS = 15 * 60
_FAILURES = LoginSettings.model_fields["failures_per_address"].default
#: Loopback has more than one address, and the proxy of the stack trusts none but its own.
_FLOODING = "127.0.0.9"


class Answer(NamedTuple):
    """The answer to a login."""

    status: int
    detail: str


def sign_in(stack: Stack, source: str, forwarded: str = "198.51.100.7") -> Answer:
    """Fail to sign in under a fresh name from the address *source*, again where the proxy has no place in time."""
    while (answer := _sign_in(stack, source, forwarded)).status == HTTPStatus.SERVICE_UNAVAILABLE:
        sleep(1)
    return answer


def _sign_in(stack: Stack, source: str, forwarded: str) -> Answer:
    place = urlsplit(stack.url)
    body = dumps({"username": f"n{secrets.token_hex(6)}", "password": "wrong"})
    headers = {"Content-Type": "application/json", "X-Forwarded-For": forwarded}
    with closing(
        HTTPConnection(str(place.hostname), place.port, timeout=DEADLINE_SECONDS, source_address=(source, 0))
    ) as connection:
        connection.request("POST", "/api/sessions", body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, str(loads(answer.read())["detail"]))


def test_flood_from_one_address_is_refused_and_others_sign_in(stack: Stack, admin: Client, person: NewPerson) -> None:
    # Given an address that fails under fresh names
    began = monotonic()
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(sign_in, stack, _FLOODING) for _ in range(_FAILURES + 30)]
        answers = [call.result() for call in calls]
    # Then so many passwords were checked, a few more as time passed, and the rest refused
    checked = sum(answer.status == 401 for answer in answers)
    regained = (monotonic() - began) / _PERIOD_SECONDS * _FAILURES
    assert _FAILURES <= checked <= _FAILURES + regained + 1
    refused = {answer for answer in answers if answer.status != 401}
    assert refused == {Answer(429, "Too many attempts to sign in from this address.")}
    # Then another header changes nothing, and another address is as before
    assert sign_in(stack, _FLOODING, "203.0.113.1").status == 429
    assert sign_in(stack, "127.0.0.1").status == 401
    json_of(person().client.get("/api/sessions/current"))


@pytest.mark.parametrize("path", gateways.THROTTLED)
def test_gateway_throttles_a_route_that_hashes_a_password(stack: Stack, path: str) -> None:
    gateway = stack.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    stage = gateway.get_stage(restApiId=api["id"], stageName="api")
    # The emulator looks for slashes, where AWS and LocalStack keep ~1.
    settings = {name.replace("~1", "/"): one for name, one in stage["methodSettings"].items()}
    setting = settings[f"{path}/POST"]
    assert (setting["throttlingRateLimit"], setting["throttlingBurstLimit"]) == gateways.THROTTLED[path]
