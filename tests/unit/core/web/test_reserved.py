"""Ids that a caller chooses are never words of routes, whichever route has the word."""

import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app import app
from chalicelib.core.models import Model
from chalicelib.core.runtime import ids
from chalicelib.core.web.application import App
from chalicelib.core.web.reserved import chosen, words
from chalicelib.core.web.roles import SIGNED_IN, Caller
from chalicelib.core.web.routes import Call, Endpoint, Routes
from infra.server.route_table import Paths
from tests.support.gateway import ask


class NewThing(Model):
    """A body with an id that the caller chooses."""

    thing_id: str | None = None
    other_id: str = ""


def endpoint(method: str, path: str) -> Endpoint:
    return Endpoint(method=method, path=path, handler=print, body=NewThing if method == "POST" else None)


def things() -> Routes:
    """Return routes of things, where a caller may choose the id."""
    routes = Routes("things")

    @routes.add("POST", "/things", body=NewThing, answers={201: NewThing})
    def make(call: Call[NewThing, None]) -> NewThing:
        return call.body

    routes.add("GET", "/things/{thing_id}", params={"thing_id": str})(lambda _call, thing_id: None)
    return routes


def mounted(*more: Routes) -> App:
    made = App("things", identify=lambda _: Caller("ann", SIGNED_IN))
    made.mount(things(), *more)
    return made


def more(path: str) -> Routes:
    routes = Routes(ids.new_id())
    routes.add("GET", path)(lambda _call: None)
    return routes


def test_words_beside_a_placeholder_are_found_at_any_depth_below_any_name() -> None:
    paths = ["/a/{x}", "/a/b", "/a/c/d", "/e/{y}/f/{x}", "/e/{z}/f/g", "/h", "/e/{y}/k"]
    assert words("x", paths) == {"b", "c", "g"}
    assert words("y", paths) == words("z", paths) == words("w", paths) == set()


def test_only_a_field_with_a_placeholder_right_below_the_post_chooses_an_id() -> None:
    paths = ["/a", "/a/{thing_id}", "/a/b", "/c", "/c/d/{thing_id}"]
    assert chosen(endpoint("POST", "/a"), paths) == {"thing_id": {"b"}}
    assert chosen(endpoint("POST", "/c"), paths) == chosen(endpoint("GET", "/a"), paths) == {}


@pytest.mark.parametrize("path", ["/things/batch", "/things/batch/more"])
def test_an_id_that_another_slice_has_as_a_word_is_refused(path: str) -> None:
    app = mounted(more(path))
    refused = ask("POST", "/things", {"thingId": "batch"}, token="token", at=app)
    assert (refused.status, refused.json["code"]) == (422, "invalid-fields")
    assert refused.json["errors"] == [
        {"path": "thingId", "message": "must not be a word that a route has in the place of the id: batch"}
    ]


@pytest.mark.parametrize("body", [{"thingId": "Batch"}, {"thingId": "b"}, {"otherId": "batch"}, {}])
def test_any_other_id_is_taken(body: dict[str, str]) -> None:
    assert ask("POST", "/things", body, token="token", at=mounted(more("/things/batch"))).status == 201


def test_a_route_mounted_later_reserves_its_word() -> None:
    app = mounted()
    assert ask("POST", "/things", {"thingId": "late"}, token="token", at=app).status == 201
    app.mount(more("/things/late"))
    assert ask("POST", "/things", {"thingId": "late"}, token="token", at=app).status == 422


def _takes(kind: Any, word: str) -> bool:
    """Return whether a value of the path parameter *kind* can be *word*."""
    try:
        TypeAdapter(kind).validate_python(word)
    except ValidationError:
        return False
    return True


def test_every_word_beside_a_chosen_id_is_refused_when_the_id_is_chosen() -> None:
    """Holds for every route: a placeholder beside a word is an id that the server makes, or is checked."""
    paths = [known.path for known in app.endpoints]
    checked = {name for known in app.endpoints for name in app.reserved(known)}
    unchecked = {
        name
        for known in app.endpoints
        for name, kind in known.params.items()
        if name not in checked and any(_takes(kind, word) for word in words(name, paths))
    }
    assert not unchecked, f"a caller chooses {unchecked}, and routes have words in its place"
    assert {"application_id", "username"} <= checked


@pytest.mark.parametrize(
    "known", [known for known in app.endpoints if known.method == "PUT"], ids=lambda known: known.path
)
def test_a_word_in_the_path_of_a_put_is_never_taken_for_an_id(known: Endpoint) -> None:
    paths = [other.path for other in app.endpoints]
    for name in re.findall(r"\{(\w+)\}", known.path):
        for word in words(name, [path for path in paths if path.startswith(known.path.partition("{")[0])]):
            assert Paths(paths).find(known.path.replace(f"{{{name}}}", word)).resource != known.path
