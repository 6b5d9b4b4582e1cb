"""``scripts/reconcile``: runs a full reconciliation pass over records, history and view, now and on this machine."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import slices  # noqa: F401 # declares the kinds of record
from chalicelib.core.records import reconcile
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.runtime import logs
from chalicelib.core.stores.driver_errors import reaching_aws, reaching_mongodb
from infra.operations.failures import reporting
from infra.operations.progress import escaped, progress
from infra.operations.target import PATIENT, act_as, parser_of, patiently, target_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from chalicelib.core.records.reconcile import PassCursor
    from infra.operations.progress import Advance
    from infra.operations.target import Target

DESCRIPTION = """\
Runs a full reconciliation pass now: compares every record with its history and with its copy in the read model (which
lists read), and repairs the differences. Missing copies are made, stale copies are updated, versions without a
published event are published under their original event ids, copies without a record are deleted, and copies of
versions that the tables have lost are replaced. The stack does the same every hour, for a few minutes each time.

The command writes only the data that the stack itself writes. The command may run beside the stack, and may be
interrupted and repeated at any time.
"""
EPILOG = """\
examples:
  scripts/reconcile                  the stack that runs on this machine
  scripts/reconcile --stage prod     the stage prod in the AWS account of your credentials

A database that is not marked as the stage's is refused, and nothing is changed.

exit code: 0 if all differences were repaired, 1 if some could not be repaired or the database was refused, 130 if
interrupted.
"""


class Part(NamedTuple):
    """The counts of a part of the pass: the records, or the copies of a kind."""

    name: str
    compared: int
    repaired: int


class _FaultCounter(logging.Handler):
    """Counts the errors logged during the pass, for records that cannot be projected, and prints a line for each."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        print(escaped(f"{getattr(record, 'action', 'fault')}: {record.getMessage()}"), file=sys.stderr)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    return parser_of("scripts/reconcile", DESCRIPTION, EPILOG).parse_args(arguments)


def run(target: Target) -> int:
    """Run a full reconciliation pass on the stack whose settings this process has taken; return the exit code.

    Raises:
        DatabaseRefused: the database is not marked as this stack's; nothing was changed.
    """
    print(f"{target.stage} at {target.where}")
    patiently(reconcile.check_database)
    started = monotonic()
    with _counted_faults() as faults, progress() as begin:
        parts = list(_pass(target, begin))
    print(f"{'':<24}{'compared':>12}{'repaired':>12}")
    for part in parts:
        print(f"{part.name:<24}{part.compared:>12,}{part.repaired:>12,}")
    compared, seconds = sum(part.compared for part in parts), monotonic() - started
    print(f"{compared:,} compared in {seconds:,.0f} s, {compared / seconds:,.0f} per second.")
    if faults.count:
        print(f"{faults.count:,} faults: the records named above could not be repaired; the stack retries every hour.")
    return 1 if faults.count else 0


def _pass(target: Target, begin: Callable[..., Advance]) -> Iterator[Part]:
    """Compare and repair all parts; yield the counts of each part after its end.

    The cursor of the pass lives in this process only, so the cursor of the hourly pass does not move. Two passes at
    once may repair the same record twice, under the same ids and versions, without a further effect.
    """
    cursor: PassCursor | None = reconcile.START
    while cursor is not None:
        kind, compared, repaired = cursor.kind, 0, 0
        advance = begin(_name(kind), patiently(partial(_size, target, kind)))
        while cursor is not None and cursor.kind == kind:
            cursor, found = patiently(partial(reconcile.advance, cursor))
            compared, repaired = compared + found.compared, repaired + found.repaired
            advance(found.compared)
        yield Part(_name(kind), compared, repaired)


def _size(target: Target, kind: str) -> int:
    """Return the approximate number of records, or of copies of *kind*. AWS recounts records every six hours."""
    if kind:
        with reaching_mongodb():
            return records_wiring.view().of(kind).estimated_document_count()
    with reaching_aws("dynamodb"):
        name = f"holdfast-{target.stage}-records"
        count: int = target.client("dynamodb").describe_table(TableName=name)["Table"]["ItemCount"]
        return count


def _name(kind: str) -> str:
    return f"lists of {kind}" if kind else "records"


@contextmanager
def _counted_faults() -> Iterator[_FaultCounter]:
    """Count and print logged errors for the length of the block, instead of writing a function's log."""
    logs.logger()
    logger, faults = logging.getLogger("holdfast"), _FaultCounter()
    before, logger.handlers = logger.handlers, [faults]
    try:
        yield faults
    finally:
        logger.handlers = before


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    asked = parsed(arguments)
    with reporting("reconcile", "Interrupted. Finished repairs are kept; the next run starts from the beginning."):
        target = target_of(asked, os.environ)
        act_as(target, **PATIENT)
        return run(target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
