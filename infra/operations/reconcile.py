"""``scripts/reconcile``: compares truth, history and view once through, now and on this machine."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.core.records import reconcile
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.runtime import logs
from chalicelib.core.stores.driver_errors import reaching_aws, reaching_mongodb
from infra.operations.progress import escaped, progress
from infra.operations.target import (
    INTERRUPTED,
    PATIENT,
    STACKS,
    act_as,
    patiently,
    reporting,
    stack_options,
    target_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.core.records.reconcile import Place
    from infra.operations.progress import Advance
    from infra.operations.target import Target

DESCRIPTION = """\
Compares every record with its history and with the copy that lists read, once through and now, and mends what is
missing: copies are made or brought up to date, versions that nobody was told of are told under the ids they always had,
and copies without a record are taken away. The stack does the same by itself every hour, for a few minutes each time.

It writes what the stack itself writes, so it may run beside it, be interrupted at any moment and be repeated.
"""
EPILOG = """\
examples:
  scripts/reconcile                  the stack that runs here
  scripts/reconcile --stage prod     the AWS account of your credentials

exit code: 0 if all is as it should be now, 1 if something could not be mended, 130 if it was interrupted.
"""


class Part(NamedTuple):
    """What was seen and done in one part of the walk."""

    name: str
    compared: int
    mended: int


class _Faults(logging.Handler):
    """Counts what the walk says of records that it cannot carry, and shows whoever runs it each of them in a line."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        print(escaped(f"{getattr(record, 'action', 'fault')}: {record.getMessage()}"), file=sys.stderr)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/reconcile",
        description=DESCRIPTION,
        epilog=EPILOG + STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[stack_options()],
    )
    return parser.parse_args(arguments)


def run(target: Target) -> int:
    """Walk once through everything of the stack that this process acts as a part of; return the exit code."""
    print(f"{target.stage} at {target.where}")
    started = monotonic()
    with _faults() as faults, progress() as begin:
        parts = list(_walk(target, begin))
    print(f"{'':<24}{'compared':>12}{'mended':>12}")
    for part in parts:
        print(f"{part.name:<24}{part.compared:>12,}{part.mended:>12,}")
    compared, seconds = sum(part.compared for part in parts), monotonic() - started
    print(f"{compared:,} compared in {seconds:,.0f} s, {compared / seconds:,.0f} per second.")
    if faults.count:
        print(f"{faults.count:,} faults: what they name above could not be mended, and will be tried again hourly.")
    return 1 if faults.count else 0


def _walk(target: Target, begin: Callable[..., Advance]) -> Iterator[Part]:
    """Compare everything, and yield what came of each part once it is through.

    Nothing but this walk's own place is kept: the hourly comparison goes on where it was. Two at once may do the same
    twice, under the same ids and versions, which changes nothing.
    """
    place: Place | None = reconcile.START
    while place is not None:
        kind, compared, mended = place.kind, 0, 0
        advance = begin(_name(kind), patiently(partial(_size, target, kind)))
        while place is not None and place.kind == kind:
            place, found = patiently(partial(reconcile.advance, place))
            compared, mended = compared + found.compared, mended + found.mended
            advance(found.compared)
        yield Part(_name(kind), compared, mended)


def _size(target: Target, kind: str) -> int:
    """Return how many records, or copies of one kind, there are about: AWS counts records anew every six hours."""
    if kind:
        with reaching_mongodb():
            return records_wiring.view().of(kind).estimated_document_count()
    with reaching_aws():
        name = f"holdfast-{target.stage}-records"
        count: int = target.client("dynamodb").describe_table(TableName=name)["Table"]["ItemCount"]
        return count


def _name(kind: str) -> str:
    return f"lists of {kind}" if kind else "records"


@contextmanager
def _faults() -> Iterator[_Faults]:
    """Have faults told here, in the place of the log that a function writes."""
    logs.logger()
    logger, faults = logging.getLogger("holdfast"), _Faults()
    before, logger.handlers = logger.handlers, [faults]
    try:
        yield faults
    finally:
        logger.handlers = before


def main(arguments: list[str]) -> int:
    """Do what was asked for and return the exit code."""
    asked = parsed(arguments)
    with reporting("reconcile"):
        try:
            target = target_of(asked, os.environ)
            act_as(target, **PATIENT)
            return run(target)
        except KeyboardInterrupt:
            print("\nInterrupted. What was mended stays so; the next run begins at the beginning.", file=sys.stderr)
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
