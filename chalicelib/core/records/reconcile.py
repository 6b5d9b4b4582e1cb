"""Reconciliation: compares system of record, history and view, and repairs the difference under the original event ids.

The stream projects every state. Reconciliation covers the rest: a projector broken for longer than the stream keeps
its records, a restored database of records or of copies, a dead letter that nobody sent back. View and record are
compared by `Record.sequence`, so a missing annotation is found as well. Each step compares a hundred records.
"""

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from chalicelib.core.records import lost_versions, wiring
from chalicelib.core.records.codec import record_of
from chalicelib.core.records.models import Record, key
from chalicelib.core.runtime import deadline, logs, settings
from chalicelib.core.stores import binding, clients
from chalicelib.core.stores.attributes import Item

_AT_ONCE = 100
#: With less time left, the next invocation continues.
_ENOUGH_MS = 10_000
_CURSOR_KEY = "walk#records"


class PassCursor(NamedTuple):
    """The cursor of a pass: through the system of record first, with *kind* "", then through each kind's view."""

    kind: str
    after: str


class PassResult(NamedTuple):
    """How many records a pass, or a part of one, compared and repaired, and whether the pass ended."""

    compared: int = 0
    repaired: int = 0
    finished: bool = False


START = PassCursor("", "")


def check_database() -> None:
    """Return if the database carries the mark of this deployment. Call before the first step of a pass.

    Raises:
        DatabaseRefused: the database may hold the lists of another deployment, which a pass would delete.
        Unavailable: a store is down.
    """
    stage = settings.load(settings.HoldfastSettings).stage
    binding.check(clients.mongodb(), clients.table("coordination"), stage)


def step() -> PassResult:
    """Continue the pass from its stored cursor until the time is up or the pass ends. Safe to repeat.

    Raises:
        DatabaseRefused: the database is not marked as this deployment's; nothing was changed.
        Unavailable: a store is down; the cursor stands after the last complete step.
    """
    check_database()
    until = monotonic() + settings.load(settings.RecordSettings).reconcile_seconds
    cursor, total = _stored_cursor(), PassResult()
    while monotonic() < until and deadline.allows(_ENOUGH_MS):
        next_cursor, found = advance(cursor)
        total = PassResult(total.compared + found.compared, total.repaired + found.repaired, next_cursor is None)
        cursor = next_cursor or START
        _store_cursor(cursor)
        if next_cursor is None:
            break
    return total


def advance(cursor: PassCursor) -> tuple[PassCursor | None, PassResult]:
    """Compare the next records; return the next cursor, None at the end, and the counts.

    Raises:
        Unavailable: a store is down.
    """
    if not cursor.kind:
        items, after = wiring.store().walk(cursor.after, _AT_ONCE)
        found = _compare(list(_readable(items)))
        return (PassCursor("", after) if after else _first_view()), found
    copies = wiring.view().walk(cursor.kind, cursor.after, _AT_ONCE)
    next_cursor = PassCursor(cursor.kind, copies[-1][0]) if len(copies) == _AT_ONCE else _next_view(cursor.kind)
    return next_cursor, _forget_orphans(cursor.kind, copies)


def repair(kind: str, record_id: str, version: int) -> None:
    """Project the current state of the record, and publish *version* as lost if no event was sent. Safe to repeat.

    With *version* 0, as for an annotation, a version in history is not published again.

    Raises:
        Exception: the record cannot be projected.
    """
    record = wiring.store().get_including_deleted(kind, record_id)
    if record is None:
        return
    if version or not wiring.history().has([(record, record.version)]):
        failed = wiring.projector().project_records([record])
    else:
        failed = wiring.projector().project_records([], annotated=[record])
    if failed:
        raise failed[0].error
    if 0 < version < record.version and not wiring.history().has([(record, version)]):
        lost_versions.publish_lost(record, [version])


def _compare(records: Sequence[Record]) -> PassResult:
    """Project records missing in history, apply records stale in the view, and report lost versions."""
    history = wiring.history()
    written = history.has([(record, record.version) for record in records])
    complete = history.complete_up_to([record for record in records if record.version > 1])
    shown = wiring.view().shown(records)
    unpublished = [record for record in records if (key(record.kind, record.id), record.version) not in written]
    stale = [record for record in records if _is_stale(record, shown) and record not in unpublished]
    failed = [fault.error for fault in wiring.projector().project_records(unpublished)]
    for fault in wiring.view().apply(stale):
        logs.failed("record_not_projected", fault.error)
        failed.append(fault.error)
    replaced = _replace_lost(records, shown)
    marks = [(record, complete.get(key(record.kind, record.id), 0)) for record in records]
    lost = sum(lost_versions.report(record, mark) for record, mark in marks if mark < record.version - 1)
    return PassResult(len(records), len(unpublished) + len(stale) - len(failed) + replaced + lost)


def _is_stale(record: Record, shown: dict[tuple[str, str], int]) -> bool:
    """Return whether the view has an older state. For a deleted record, a missing copy is as good as a tombstone."""
    sequence = shown.get((record.kind, record.id), record.sequence if record.deleted else 0)
    return sequence < record.sequence


def _replace_lost(records: Sequence[Record], shown: dict[tuple[str, str], int]) -> int:
    """Replace copies of states that the system of record has lost, as after its restoration; return their number."""
    ahead = [record for record in records if shown.get((record.kind, record.id), 0) > record.sequence]
    # A state is committed before its copy is written, so a read after the copy's read finds every state not lost.
    lost = [record for record in _current(ahead) if shown[record.kind, record.id] > record.sequence]
    for record in lost:
        wiring.view().forget(record.kind, record.id, shown[record.kind, record.id])
    # Read again: a state committed in the meantime may have found the lost copy in its place.
    failed = wiring.view().apply(_current(lost))
    for fault in failed:
        logs.failed("record_not_projected", fault.error)
    return len(lost) - len(failed)


def _current(records: Sequence[Record]) -> list[Record]:
    return list(_readable(wiring.store().batch_get([key(record.kind, record.id) for record in records])))


def _forget_orphans(kind: str, copies: Sequence[tuple[str, int]]) -> PassResult:
    """Delete copies without a record. A record is written before its copy and never removed, so no copy is early."""
    known = {item["pk"] for item in wiring.store().batch_get([key(kind, record_id) for record_id, _ in copies])}
    orphans = [(record_id, sequence) for record_id, sequence in copies if key(kind, record_id) not in known]
    for record_id, sequence in orphans:
        wiring.view().forget(kind, record_id, sequence)
    return PassResult(len(copies), len(orphans))


def _readable(items: Iterable[Item]) -> Iterator[Record]:
    for item in items:
        try:
            yield record_of(item)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logs.failed("record_not_read", error)
            logs.line().count("recordsUnreadable")


def _first_view() -> PassCursor | None:
    return _next_view("")


def _next_view(kind: str) -> PassCursor | None:
    names = sorted(name for name in wiring.kinds() if name > kind)
    return PassCursor(names[0], "") if names else None


def _stored_cursor() -> PassCursor:
    item = clients.table("coordination").get(_CURSOR_KEY)
    return PassCursor(item["kind"], item["after"]) if item else START


def _store_cursor(cursor: PassCursor) -> None:
    change = "SET kind = :kind, #after = :after"
    values = {":kind": cursor.kind, ":after": cursor.after}
    clients.table("coordination").change(_CURSOR_KEY, change, when="", values=values, names={"#after": "after"})
