"""Reads an existing collection page by page, in the order of ``_id``, and keeps the progress of an import."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import bson
from bson import CodecOptions, Decimal128, ObjectId, json_util
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument

from chalicelib.core.stores import clients
from chalicelib.core.stores.driver_errors import reaching_mongodb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.collection import Collection

#: Documents of a page. The view takes a page in a single bulk write; a killed run repeats at most the last page.
_PAGE = 200
#: Documents of another system may hold 16 MB each.
_PAGE_BYTES = 8_000_000
#: A faulty value must not keep other documents from being read: invalid UTF-8 becomes a fault of its field.
_LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="surrogateescape", tz_aware=True
)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class Source:
    """Reads the documents of *collection*; never writes."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._raw = collection.with_options(codec_options=_RAW)
        self.name = f"{collection.database.name}.{collection.name}"

    def size(self) -> int:
        """Return the approximate number of documents.

        Raises:
            Unavailable: MongoDB cannot be reached.
        """
        with reaching_mongodb():
            return self._raw.estimated_document_count()

    def page(self, after: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """Return the next documents after the ``_id`` in *after*, in order; an empty list at the end.

        Raises:
            Unavailable: MongoDB cannot be reached.
        """
        # A plain $gt finds only ids of the same type, and a collection may have several.
        wanted = {"$expr": {"$gt": ["$_id", {"$literal": after["_id"]}]}} if after else {}
        found: list[dict[str, Any]] = []
        size_bytes = 0
        with reaching_mongodb(), self._raw.find(wanted).sort("_id").limit(_PAGE) as cursor:
            for document in cursor:
                found.append(bson.decode(document.raw, _LENIENT))
                size_bytes += len(document.raw)
                if size_bytes > _PAGE_BYTES:
                    break
        return found


class Bookmark:
    """Persists the progress of the migration *name* as an item in the coordination table."""

    def __init__(self, name: str) -> None:
        self._table, self._pk = clients.table("coordination"), f"bookmark#{name}"

    def read(self) -> dict[str, Any] | None:
        """Return the stored progress, None if nothing is stored."""
        item = self._table.get(self._pk)
        return json_util.loads(item["kept"], json_options=json_util.CANONICAL_JSON_OPTIONS) if item else None

    def keep(self, **kept: Any) -> None:
        """Store *kept* as the progress, replacing any earlier progress."""
        text = json_util.dumps(kept, json_options=json_util.CANONICAL_JSON_OPTIONS)
        self._table.change(self._pk, "SET kept = :kept", when="", values={":kept": text})

    def forget(self) -> None:
        """Delete the stored progress."""
        self._table.delete(self._pk, when="", values={})


def named(source_id: Any) -> str:
    """Return an ``_id`` as text. Different ids give different texts."""
    if isinstance(source_id, str):
        return source_id
    return json_util.dumps(source_id, json_options=json_util.CANONICAL_JSON_OPTIONS)


def plain(value: Any) -> Any:
    """Return *value* with BSON types converted to JSON types. Other types stay, and models reject such values."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return _number(value) if isinstance(value, Decimal128) else value


def _number(value: Decimal128) -> int | float:
    number = value.to_decimal()
    return int(number) if number.is_finite() and number == number.to_integral_value() else float(number)
