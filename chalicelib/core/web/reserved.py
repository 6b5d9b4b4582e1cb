"""Reserved words: ids that no caller may choose, because a route has the word in the place of the id.

A literal segment of a path wins over a placeholder. So ``GET /things/{thing_id}`` never gets the id ``batch`` beside
the route ``POST /things/batch``. The words are found in the route table, so a new route reserves its words by itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from chalicelib.core.errors import FieldError, Invalid
from chalicelib.core.web.routes import Endpoint

#: The reserved words of each field that chooses an id.
Reserved = Mapping[str, frozenset[str]]

_PLACEHOLDER = re.compile(r"\{\w+\}")


def words(name: str, paths: Iterable[str]) -> frozenset[str]:
    """Return the words that stand in the place of the placeholder *name* in any of *paths*."""
    routes = [path.split("/") for path in paths]
    before = [route[: route.index(f"{{{name}}}")] for route in routes if f"{{{name}}}" in route]
    beside = set[str]().union(*(_below(routes, prefix) for prefix in before))
    return frozenset(segment for segment in beside if not _PLACEHOLDER.fullmatch(segment))


def chosen(endpoint: Endpoint, paths: Iterable[str]) -> Reserved:
    """Return the reserved words of each field of the body by which a caller of *endpoint* chooses an id.

    A field chooses an id if *endpoint* is a POST, and *paths* have a placeholder of the field's name right below it.
    """
    if endpoint.method != "POST" or endpoint.body is None:
        return {}
    paths = tuple(paths)
    below = _below([path.split("/") for path in paths], endpoint.path.split("/"))
    return {name: words(name, paths) for name in endpoint.body.model_fields if f"{{{name}}}" in below}


def check(body: BaseModel | None, reserved: Reserved) -> None:
    """Check that no field of *body* has a reserved word.

    Raises:
        Invalid: names each field that has.
    """
    faults = [(name, taken) for name, taken in reserved.items() if getattr(body, name) in taken]
    if faults:
        raise Invalid([FieldError(to_camel(name), message(taken)) for name, taken in faults])


def message(taken: Iterable[str]) -> str:
    """Return the sentence for an id that is one of *taken*."""
    return f"must not be a word that a route has in the place of the id: {', '.join(sorted(taken))}"


def _below(routes: Iterable[Sequence[str]], prefix: Sequence[str]) -> set[str]:
    """Return the segments that follow *prefix* in *routes*. Placeholders of the prefix may have other names."""
    shape, place = _shape(prefix), len(prefix)
    return {route[place] for route in routes if len(route) > place and _shape(route[:place]) == shape}


def _shape(segments: Iterable[str]) -> list[str]:
    return [_PLACEHOLDER.sub("{}", segment) for segment in segments]
