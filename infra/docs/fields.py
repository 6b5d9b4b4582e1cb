"""The page of every field of every request, with its limits, from the models that check requests."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel

from chalicelib import slices
from chalicelib.core.models import SCHEMA_FORM as FORM
from chalicelib.core.web import PageQuery
from chalicelib.core.web.routes import Endpoint

_HEAD = """# Fields and their limits

Every field of every request, and the values it takes. Any other value is 422, and the answer names the field. A field
that no request lists is refused. This page is generated from the models that check requests: after a change there, run
`scripts/check --fix`. [api.md](api.md) says what the calls do.
"""
#: The beginning of sentences of a `Form`, which answer a caller whose value was refused.
_DEMAND = "must be "
_TABLE = "| field | where | takes | meaning |\n| --- | --- | --- | --- |\n"
#: Objects of callers, of any content, and of a size that the whole body bounds.
_ANY_OBJECT = "an object of any JSON"


class Row(NamedTuple):
    """A field of a request."""

    name: str
    where: str
    takes: str
    meaning: str


def page() -> str:
    """Return the page of all fields."""
    endpoints = [endpoint for routes in slices.ROUTES for endpoint in routes.endpoints]
    lists = list(_model(PageQuery, "query"))
    in_paths = list(dict.fromkeys(row for endpoint in endpoints for row in _in_path(endpoint)))
    parts = [_part("Every list", lists), _part("Every path", in_paths)]
    own = [(endpoint, [row for row in _sent(endpoint) if row not in lists]) for endpoint in endpoints]
    parts += [_part(f"`{endpoint.method} {_path(endpoint)}`", rows) for endpoint, rows in own if rows]
    return _HEAD + "".join(parts)


def _part(title: str, rows: list[Row]) -> str:
    return f"\n## {title}\n\n{_TABLE}" + "".join(f"| `{row.name}` | {' | '.join(row[1:])} |\n" for row in rows)


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.format_map({name: f"{{{to_camel(name)}}}" for name in endpoint.params})


def _in_path(endpoint: Endpoint) -> Iterator[Row]:
    for name, kind in endpoint.params.items():
        schema = TypeAdapter(kind).json_schema()
        yield Row(to_camel(name), "path", *_said(schema, {}, required=True))


def _sent(endpoint: Endpoint) -> Iterator[Row]:
    if endpoint.query:
        yield from _model(endpoint.query, "query")
    if endpoint.body:
        yield from _model(endpoint.body, "body")


def _model(model: type[BaseModel], where: str) -> Iterator[Row]:
    schema = model.model_json_schema(by_alias=True)
    yield from _fields(schema, schema.get("$defs", {}), where, "")


def _fields(schema: dict[str, Any], known: dict[str, Any], where: str, before: str) -> Iterator[Row]:
    for name, field in schema["properties"].items():
        own = _resolved(field, known)
        yield Row(before + name, where, *_said(field, known, required=name in schema.get("required", ())))
        if own.get("type") == "array" and "properties" in (item := _resolved(own["items"], known)):
            yield from _fields(item, known, where, f"{before}{name}[].")


def _resolved(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that is given: without references, and without null for an absent value."""
    if "$ref" in schema:
        return _resolved(known[schema["$ref"].rpartition("/")[2]], known)
    given = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return _resolved(given[0], known) if len(given) == 1 else schema


def _said(field: dict[str, Any], known: dict[str, Any], *, required: bool) -> tuple[str, str]:
    """Return what the field takes, and what it means."""
    takes = _takes(_resolved(field, known), known)
    default = field.get("default")
    if required:
        ending = "; required"
    elif default in (None, "", [], {}):
        ending = ""
    else:
        ending = f"; `{str(default).lower() if isinstance(default, bool) else default}` if absent"
    meaning = field.get("description", "")
    return takes + ending, "" if meaning.removeprefix(_DEMAND) == takes else meaning


def _takes(schema: dict[str, Any], known: dict[str, Any]) -> str:
    """Return the values that *schema* takes, in words."""
    if FORM in schema:
        return str(schema[FORM]).removeprefix(_DEMAND)
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return str(_WORDS[schema.get("type", "any")](schema, known))


def _text(schema: dict[str, Any], _: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "a time in ISO 8601 with its zone"
    return "text" + _counted(schema.get("minLength"), schema.get("maxLength"), "character")


def _list(schema: dict[str, Any], known: dict[str, Any]) -> str:
    inner = _takes(_resolved(schema["items"], known), known)
    distinct = "different " if schema.get("uniqueItems") else ""
    return f"list{_counted(schema.get('minItems'), schema.get('maxItems'), f'{distinct}item')}; each {inner}"


def _object(schema: dict[str, Any], _: dict[str, Any]) -> str:
    return "an object" if "properties" in schema else _ANY_OBJECT


def _number(schema: dict[str, Any], _: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is None:
        return "a whole number" + (f" of at least {least:,}" if least is not None else "")
    return f"a whole number from {least or 0:,} to {most:,}"


_WORDS: Any = {
    "string": _text,
    "array": _list,
    "object": _object,
    "integer": _number,
    "boolean": lambda *_: "true or false",
    "any": lambda *_: "any JSON",
}


def _counted(least: int | None, most: int | None, part: str) -> str:
    """Return the words for a number of parts; no number is no limit of its own."""
    if most is None:
        return f" of at least {least} {part}s" if least else ""
    if not least:
        return f" of up to {most:,} {part}s"
    return f" of {least} to {most:,} {part}s"
