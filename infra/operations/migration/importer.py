"""Imports the documents of an existing collection as records.

Each document is a `Records.create` under an operation id derived from the document's ``_id``. So an interrupted import
can be repeated, and no record is made twice. The bookmark moves after each page and is deleted at the end of the
collection, so the run after a complete run checks every document again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.core.errors import Invalid, Unavailable
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.codec import fields_of, record_of
from chalicelib.core.records.errors import RecordExists, RecordTooLarge
from chalicelib.core.records.models import Doc, Record, key
from chalicelib.core.records.store import Records
from chalicelib.core.stores import clients
from infra.operations.migration.source import Bookmark, Source, named, plain
from infra.operations.target import patiently

if TYPE_CHECKING:
    from chalicelib.core.stores.attributes import Item

#: Reads a foreign document of plain JSON values; *drop_unknown* leaves out fields that records of its kind do not have.
Reader = Callable[..., tuple[str, Doc]]

#: The most reasons counted separately: documents may have any number of fields with any names.
_REASONS_AT_MOST = 50
_FAULTS_AT_MOST = 20
_LONGEST_REASON = 200
_OTHER = "other reasons"
_TWICE = "another document of the collection has the same id"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of an import: kind and maker of the records, the reader of documents, and concurrent writes."""

    kind: str
    read: Reader
    by: str
    drop_unknown: bool
    at_once: int


class State(StrEnum):
    """The result for a document: a record made now, a record made by an earlier run, or no record."""

    MADE = "made"
    THERE = "there"
    SKIPPED = "skipped"


class Outcome(NamedTuple):
    """The result for the document whose ``_id`` is *id*; *reasons* only if the document was skipped."""

    id: Any
    state: State
    reasons: tuple[str, ...] = ()


class Figures:
    """Counts documents by state, and skipped documents by reason. A document counts once for each of its reasons."""

    def __init__(self, states: Mapping[str, int] | None = None, reasons: Mapping[str, int] | None = None) -> None:
        self.states, self.reasons = Counter(states), Counter(reasons)

    def add(self, outcome: Outcome) -> None:
        """Count *outcome*."""
        self.states[outcome.state.value] += 1
        for reason in outcome.reasons:
            known = reason in self.reasons or len(self.reasons) < _REASONS_AT_MOST
            self.reasons[reason if known else _OTHER] += 1

    @property
    def read(self) -> int:
        """The number of documents counted."""
        return self.states.total()


class _Read(NamedTuple):
    """A document that the reader has turned into a record's id and fields."""

    source_id: Any
    operation: str
    id: str
    doc: Doc


class Importer:
    """Imports the documents of *source* as records. With *dry_run*, determines each outcome and writes nothing."""

    def __init__(self, source: Source, wanted: Wanted, *, dry_run: bool) -> None:
        self._source, self._wanted, self._dry_run = source, wanted, dry_run
        self._prefix = f"migrate/{source.name}/"
        self._bookmark = Bookmark(f"{self._prefix}{wanted.kind}")
        self._made: list[Record] = []
        # The view is updated once for each page: a bulk write costs a fraction of single writes.
        self._records = Records(clients.table("records"), show=self._made.extend)
        # Ids of the records that a dry run would have made, as hashes: 64 bits tell millions of ids apart.
        self._dry_ids: set[int] = set()
        self._after: dict[str, Any] | None = None
        self.figures = Figures()

    def resume(self) -> int:
        """Continue after the last page of an interrupted run, if that run had the same *drop_unknown*.

        Return the number of documents that the interrupted run has decided on, 0 if there is no such run.
        """
        kept = patiently(self._bookmark.read)
        if kept and kept["dropUnknown"] == self._wanted.drop_unknown:
            self._after = kept["after"]
            self.figures = Figures(kept["states"], kept["reasons"])
        return self.figures.read

    def pages(self) -> Generator[list[Outcome], None, None]:
        """Import all documents; yield the outcomes of each page.

        The bookmark passes a page when the caller asks for the next page.

        Raises:
            Unavailable: a store was down for about a minute. Records made so far are kept; the bookmark does not move.
        """
        threads = ThreadPoolExecutor(self._wanted.at_once)
        try:
            while documents := patiently(lambda: self._source.page(self._after)):
                outcomes = self._decided(documents, threads)
                for outcome in outcomes:
                    self.figures.add(outcome)
                yield outcomes
                self._after = {"_id": documents[-1]["_id"]}
                if not self._dry_run:
                    patiently(self._keep)
            if not self._dry_run:
                patiently(self._bookmark.forget)
        finally:
            threads.shutdown(cancel_futures=True)

    def _keep(self) -> None:
        self._bookmark.keep(
            after=self._after,
            states=self.figures.states,
            reasons=self.figures.reasons,
            dropUnknown=self._wanted.drop_unknown,
        )

    def _decided(self, documents: Sequence[dict[str, Any]], threads: ThreadPoolExecutor) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        readable: dict[int, _Read] = {}
        for place, document in enumerate(documents):
            read = self._read(document)
            if isinstance(read, _Read):
                readable[place] = read
            else:
                outcomes[place] = read
        known = self._known([read.id for read in readable.values()])
        new: dict[int, _Read] = {}
        ids: set[str] = set()
        for place, read in readable.items():
            if read.id in known:
                outcomes[place] = self._existing(read, known[read.id])
            elif read.id in ids or hash(read.id) in self._dry_ids:
                outcomes[place] = _skipped(read, _TWICE)
            else:
                new[place] = read
                ids.add(read.id)
        outcomes |= self._would_make(new) if self._dry_run else self._make(new, threads)
        return [outcomes[place] for place in range(len(documents))]

    def _read(self, document: dict[str, Any]) -> _Read | Outcome:
        source_id = document["_id"]
        try:
            record_id, doc = self._wanted.read(plain(document), drop_unknown=self._wanted.drop_unknown)
            fields_of(doc)
        except Invalid as error:
            return Outcome(source_id, State.SKIPPED, _reasons([f"{path}: {fault}" for path, fault in error.errors]))
        except RecordTooLarge as error:
            return Outcome(source_id, State.SKIPPED, (str(error),))
        except Exception as error:  # noqa: BLE001 # one document's fault must not keep the others back
            return Outcome(source_id, State.SKIPPED, (f"cannot be read: {type(error).__name__}",))
        return _Read(source_id, self._prefix + named(source_id), record_id, doc)

    def _known(self, ids: Sequence[str]) -> dict[str, Record | None]:
        """Return the existing records with these *ids*, None for an unreadable record.

        The result only explains skipped documents and saves writes. Each write decides for itself whether a record is
        made.
        """
        keys = {key(self._wanted.kind, record_id): record_id for record_id in ids}
        items = patiently(lambda: self._records.batch_get(list(keys)))
        return {keys[item["pk"]]: _record(item) for item in items}

    def _existing(self, read: _Read, record: Record | None) -> Outcome:
        """Return the outcome of a document for whose id *record* exists: imported before, or skipped."""
        if record is None:
            return _skipped(read, "the record with the document's id cannot be read")
        if record.made != read.operation:
            return _skipped(read, self._conflict(record))
        if record.deleted:
            return _skipped(read, "the record was deleted after the import")
        if record.version == 1 and record.doc != read.doc:
            return _skipped(read, "the document was changed in the collection after the import")
        return Outcome(read.source_id, State.THERE)

    def _conflict(self, record: Record) -> str:
        if record.made.startswith(self._prefix):
            return _TWICE
        return (
            "a record with the document's id was deleted" if record.deleted else "another record has the document's id"
        )

    def _would_make(self, new: Mapping[int, _Read]) -> dict[int, Outcome]:
        self._dry_ids |= {hash(read.id) for read in new.values()}
        return {place: Outcome(read.source_id, State.MADE) for place, read in new.items()}

    def _make(self, new: Mapping[int, _Read], threads: ThreadPoolExecutor) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}

        def attempt() -> None:
            left = {place: read for place, read in new.items() if place not in outcomes}
            _gather({place: threads.submit(self._create, read) for place, read in left.items()}, outcomes)

        patiently(attempt)
        records_wiring.view().apply_eagerly(self._made)
        self._made.clear()
        return outcomes

    def _create(self, read: _Read) -> Outcome:
        kind, by = self._wanted.kind, self._wanted.by
        try:
            self._records.create(kind, read.id, read.doc, by=by, operation=read.operation)
        except RecordExists as error:
            # The record was made after `_known` had looked for the id.
            return self._existing(read, error.current)
        except RecordTooLarge as error:
            return _skipped(read, str(error))
        except ClientError as error:
            # A rejected item is a fault of the document. Any other error, such as a missing permission, stops the run.
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            return _skipped(read, f"DynamoDB rejects the document: {error.response['Error']['Message']}")
        return Outcome(read.source_id, State.MADE)


def _gather(futures: Mapping[int, Future[Outcome]], outcomes: dict[int, Outcome]) -> None:
    """Add the results of *futures* to *outcomes*.

    Raises:
        Unavailable: DynamoDB is down. Writes that had not begun are cancelled; the others' results are in *outcomes*.
    """
    down: Unavailable | None = None
    for place, future in futures.items():
        try:
            outcomes[place] = future.result()
        except Unavailable as error:
            down = error
            for other in futures.values():
                other.cancel()
        except CancelledError:
            continue
    if down:
        raise down


def _record(item: Item) -> Record | None:
    try:
        return record_of(item)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _skipped(read: _Read, reason: str) -> Outcome:
    return Outcome(read.source_id, State.SKIPPED, _reasons([reason]))


def _reasons(faults: Sequence[str]) -> tuple[str, ...]:
    short = [fault if len(fault) <= _LONGEST_REASON else f"{fault[:_LONGEST_REASON]}…" for fault in faults]
    more = [f"and {len(short) - _FAULTS_AT_MOST} more faults"] if len(short) > _FAULTS_AT_MOST else []
    return (*short[:_FAULTS_AT_MOST], *more)
