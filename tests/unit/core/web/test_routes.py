import pytest

from chalicelib.core.models import Model
from chalicelib.core.runtime import ids
from chalicelib.core.web.application import App
from chalicelib.core.web.roles import SIGNED_IN, Caller
from chalicelib.core.web.routes import Call, Endpoint, Options, Routes
from tests.support.gateway import Context, event


class Shown(Model):
    """The caller of the request."""

    username: str


def _asked(app: App) -> str:
    sent = event("health")
    sent["requestContext"] |= {"resourcePath": "/whoami", "httpMethod": "GET"}
    sent["headers"] |= {"Authorization": "Bearer token", "X-Request-Id": ids.new_id()}
    answer: str = app(sent, Context())["body"]
    return answer


def test_routes_mounted_by_two_apps_identify_callers_separately() -> None:
    # Given
    routes = Routes("whoami")

    @routes.add("GET", "/whoami", answers={200: Shown})
    def show(call: Call[None, None]) -> Shown:
        return Shown(username=call.caller.username)

    first = App("first", identify=lambda _: Caller("ann", SIGNED_IN))
    second = App("second", identify=lambda _: Caller("ben", SIGNED_IN))
    # When
    first.mount(routes)
    second.mount(routes)
    # Then
    assert [_asked(app) for app in (first, second)] == ['{"username":"ann"}', '{"username":"ben"}']


def test_misspelt_option_is_refused_at_import() -> None:
    # If mypy accepted the misspelling, mypy would report an unused comment.
    with pytest.raises(TypeError, match="boddy"):
        Routes("wrong").add("POST", "/wrong", boddy=Shown)  # type: ignore[call-arg]


def test_options_not_named_have_their_defaults() -> None:
    routes = Routes("plain")
    routes.add("GET", "/plain")(print)
    assert routes.endpoints == [Endpoint(method="GET", path="/plain", handler=print)]
    assert (Options().roles, Options().answers) == (SIGNED_IN, {200: None})
