"""One rule for paths at every entry point: a path with an empty segment is unknown."""

import pytest

from app import app
from infra.server.wsgi import Places, Server
from tests.support.gateway import Answer, event, invoke
from tests.support.paths import TABLE
from tests.unit.infra.test_wsgi import call


def by_the_gateway(method: str, path: str) -> Answer:
    """Return the answer to the event of a gateway that drops empty segments before it looks for the route."""
    sent = event("health")
    resource = "/" + "/".join(part for part in path.split("/") if part)
    if resource not in app.routes:
        resource = "/api/users/{username}"
        sent["pathParameters"] = {"username": "admin"}
    sent |= {"httpMethod": method, "path": path, "resource": resource}
    sent["requestContext"] |= {"httpMethod": method, "resourcePath": resource, "path": f"/api{path}"}
    return invoke(sent)


@pytest.mark.parametrize(("method", "path", "status"), TABLE)
def test_path_answers_alike_as_an_event_and_at_the_server(method: str, path: str, status: int) -> None:
    assert by_the_gateway(method, path).status == status
    assert call(Server(app, Places(1, 1)), method, path).status == status


def test_preflight_of_a_path_with_an_empty_segment_is_404() -> None:
    sent = event("preflight")
    sent |= {"path": sent["path"] + "/"}
    assert invoke(sent).status == 404


def test_path_of_the_context_counts_if_the_event_names_none() -> None:
    sent = event("health")
    assert invoke(sent).status == 200
    # `chalice local` names the path in the context alone.
    del sent["path"]
    sent["requestContext"]["path"] = "/health/"
    assert invoke(sent).status == 404
