"""Happenings: events with their public data, and the bodies of deliveries (no I/O)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chalicelib.core.records.models import Kind, Record, Version, differences, packed
from chalicelib.webhooks.models import KIND_NAME
from chalicelib.webhooks.queues import News

#: Enough digits that no two pairs of event and webhook ever share an id.
_DIGITS = 40


class Happening(NamedTuple):
    """Something that webhooks tell: *data* is the JSON of the record or document."""

    event_id: str
    type: str
    at: str
    data: str
    hops: int = 0
    #: The request that caused the event.
    caused_by: str = ""


def delivery_id(event_id: str, webhook_id: str) -> str:
    """Return the id of the delivery of an event to a webhook, the same each time."""
    return f"dlv_{hashlib.sha256(f'{event_id} {webhook_id}'.encode()).hexdigest()[:_DIGITS]}"


def body_of(happening: Happening, id_: str, sequence: int | None) -> str:
    """Return the body of a delivery: the bytes that are signed, the same for every attempt."""
    head = {"type": happening.type, "id": id_, "timestamp": happening.at, "sequence": sequence}
    return f'{json.dumps(head)[:-1]}, "data": {happening.data}}}'


def digest_of(body: str) -> str:
    """Return the digest of a delivery's *body* for statements: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(body.encode()).hexdigest()


def of_document(news: News) -> Happening:
    """Return the happening of a document that is no record."""
    return Happening(news.work_id, f"{news.kind}.{news.name}", news.at, news.text, news.hops, news.caused_by)


def of_version(news: News, kind: Kind, version: Version, before: Version | None) -> Iterator[Happening]:
    """Yield the happenings of one version of a record: what was done, and then the moves of *kind*.

    *before* is the version before, if its document is known. The data of a deleted record is its last document.
    """
    base = Happening(news.work_id, f"{news.kind}.{news.operation}", version.at, "", news.hops, news.caused_by)
    old = before.doc if before and news.operation != "created" else None
    doc = old if version.deleted else version.doc
    if doc is None or kind.text is None:
        lost = packed({"id": news.id, "version": news.record_version, "lost": True})
        yield base._replace(data=lost)
        return
    record = Record(
        kind=news.kind,
        id=news.id,
        version=news.record_version,
        doc=doc,
        created_at=news.created_at or version.at,
        created_by=news.created_by,
        updated_at=version.at,
        updated_by=version.by,
        operation="",
        made="",
    )
    data = _with_previous(kind.text(record), {} if version.deleted else _previous(version, before, news))
    # Changes of webhooks are told to nobody, save that one was disabled.
    if news.kind != KIND_NAME:
        yield base._replace(data=data)
    if not version.deleted:
        for name in kind.moves(doc, old):
            yield base._replace(event_id=f"{base.event_id}/{name}", type=f"{news.kind}.{name}", data=data)


def _previous(version: Version, before: Version | None, news: News) -> Mapping[str, object]:
    """Return the former values of the fields that the version changed."""
    if before is None or before.doc is None or news.operation != "updated":
        return {}
    return {change.field: change.before for change in differences(before.doc, version.doc)}


def _with_previous(text: str, previous: Mapping[str, object]) -> str:
    return f'{text[:-1]},"previous":{json.dumps(previous)}}}' if previous else text
