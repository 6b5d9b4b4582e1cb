"""Webhooks: records, read from the system of record by id, and from the read model all together."""

from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection

from chalicelib.core.records.errors import RecordNotFound
from chalicelib.core.records.models import Change, Doc, Record
from chalicelib.core.records.shape import record_of_copy
from chalicelib.core.records.store import Records
from chalicelib.core.records.view import INDEXES as VIEW_INDEXES
from chalicelib.core.runtime import clock
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.errors import TooManyWebhooks, WebhookNotFound
from chalicelib.webhooks.models import KIND_NAME, MOST

INDEXES = [*VIEW_INDEXES, IndexModel([("live", ASCENDING), ("createdAt", ASCENDING), ("_id", ASCENDING)])]

#: More than there can be: callers who make webhooks at the same moment may pass the limit by some.
_READ = 2 * MOST
#: Who changes a webhook that is given up.
_HOLDFAST = "holdfast"


class WebhookStore:
    """The webhooks of this deployment, 100 at most."""

    def __init__(self, records: Records, copies: Collection[dict[str, Any]]) -> None:
        self._records, self._copies = records, copies

    def add(self, webhook_id: str, doc: Doc, *, by: str, operation: str) -> Record:
        """Make a webhook. Safe to repeat under the same *operation*.

        Raises:
            TooManyWebhooks: there are `MOST` already, save in a race, which some may win.
        """
        if len([each for each in self.every() if each.id != webhook_id]) >= MOST:
            raise TooManyWebhooks
        return self._records.create(KIND_NAME, webhook_id, doc, by=by, operation=operation)

    def every(self) -> list[Record]:
        """Return every webhook, the oldest first, from the read model."""
        with reaching_mongodb():
            found = self._copies.find({"live": True}).sort([("createdAt", ASCENDING), ("_id", ASCENDING)]).limit(_READ)
            return [record_of_copy(KIND_NAME, copy) for copy in found]

    def get(self, webhook_id: str) -> Record:
        """Return the webhook, by a consistent read.

        Raises:
            WebhookNotFound: there is no such webhook, or it was deleted.
        """
        try:
            return self._records.get(KIND_NAME, webhook_id)
        except RecordNotFound as error:
            raise WebhookNotFound from error

    def change(self, webhook_id: str, fields: Doc, *, by: str, operation: str) -> Record:
        """Replace *fields*, whatever the version. Safe to repeat under the same *operation*.

        Raises:
            WebhookNotFound: there is no such webhook.
        """
        try:
            return self._records.commit(KIND_NAME, Change(webhook_id, None, fields), by=by, operation=operation)
        except RecordNotFound as error:
            raise WebhookNotFound from error

    def rotate(self, webhook_id: str, *, by: str, operation: str, now: datetime) -> Record:
        """Raise the generation of the secret. Safe to repeat under the same *operation*.

        Raises:
            WebhookNotFound: there is no such webhook.
        """

        def raised(doc: Doc) -> Doc:
            return {"generation": doc["generation"] + 1, "rotatedAt": clock.stamp(now)}

        try:
            current = self._records.get(KIND_NAME, webhook_id)
            if current.operation == operation:
                return current
            return self._records.update_with_retry(KIND_NAME, webhook_id, raised, by=by, operation=operation)
        except RecordNotFound as error:
            raise WebhookNotFound from error

    def disable(self, webhook_id: str, reason: str) -> None:
        """Disable the webhook with *reason*, unless it is disabled or gone. Safe to repeat."""
        try:
            current = self._records.get(KIND_NAME, webhook_id)
            if current.doc["enabled"]:
                self._records.commit(
                    KIND_NAME,
                    Change(webhook_id, current.version, {"enabled": False, "disabledReason": reason}),
                    by=_HOLDFAST,
                    operation=f"disable/{webhook_id}/{current.version}",
                )
        except RecordNotFound:
            return

    def remove(self, webhook_id: str, *, by: str, operation: str) -> None:
        """Delete the webhook. Safe to repeat under the same *operation*.

        Raises:
            WebhookNotFound: there is no such webhook.
        """
        try:
            self._records.remove(KIND_NAME, webhook_id, None, by=by, operation=operation)
        except RecordNotFound as error:
            raise WebhookNotFound from error
