"""The public JSON of records, rendered when a state is written, so that lists join texts and render nothing.

A copy in the view holds the text, and the version of the shape that rendered the text. A text of another version counts
as missing: readers render the copy, and `reshape.upgrade` renders the text anew, after a deployment.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from chalicelib.core.records.models import Record
from chalicelib.core.runtime import logs


class Shape:
    """The JSON of one kind's records in answers: *shown* returns a record as *model*.

    The version follows from the model's fields, and from *edition*: raise it if *shown* gives a field another value.
    """

    def __init__(self, model: type[BaseModel], shown: Callable[[Record], BaseModel], edition: int = 1) -> None:
        self._model, self._shown, self._edition = model, shown, edition

    @cached_property
    def version(self) -> str:
        """Sixteen hexadecimal digits, the same in every process of a build."""
        fields = self._model.model_json_schema(mode="serialization")
        return hashlib.sha256(json.dumps([self._edition, fields], sort_keys=True).encode()).hexdigest()[:16]

    def text(self, record: Record) -> str:
        """Return the JSON of *record*.

        Raises:
            ValueError: the record does not fit the model.
        """
        return self._shown(record).model_dump_json()

    def stored(self, record: Record) -> dict[str, str]:
        """Return the fields of a copy that hold the text; no fields if the record does not fit the model."""
        try:
            return {"text": self.text(record), "shape": self.version}
        except ValueError:
            # The copy must still be written. A reader renders the copy, and so meets the error.
            logs.line().count("textsNotRendered")
            return {}

    def projection(self, order: str) -> dict[str, Any]:
        """Return the projection of a list by the field *order*, for `text_of`; *order* is in ``value``.

        The whole copy is read only where its text is of another version.
        """
        current = {"$eq": ["$shape", self.version]}
        return {
            "value": f"${order}",
            "text": {"$cond": [current, "$text", "$$REMOVE"]},
            "copy": {"$cond": [current, "$$REMOVE", "$$ROOT"]},
        }

    def text_of(self, found: Mapping[str, Any], kind: str) -> str:
        """Return the JSON of a document read with `projection`.

        Raises:
            ValueError: the copy has no text, and does not fit the model.
        """
        text: str | None = found.get("text")
        return self.text(record_of_copy(kind, found["copy"])) if text is None else text


def record_of_copy(kind: str, copy: Mapping[str, Any]) -> Record:
    """Return the record of *copy*, without the ids of operations, which a copy lacks."""
    return Record(
        kind=kind,
        id=copy["_id"],
        version=copy["version"],
        doc=copy["doc"],
        created_at=copy["createdAt"],
        created_by=copy["createdBy"],
        updated_at=copy["updatedAt"],
        updated_by=copy["updatedBy"],
        operation="",
        made="",
        annotations=copy.get("annotations", {}),
        revision=copy.get("sequence", copy["version"]) - copy["version"],
    )
