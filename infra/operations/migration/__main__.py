"""``scripts/migrate``: the command line that takes an existing MongoDB collection over into versioned records."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from bson import json_util

from chalicelib.applications import importing
from chalicelib.core.errors import Unavailable
from chalicelib.core.stores import clients
from chalicelib.core.stores.driver_errors import reaching_mongodb
from infra.operations.migration.importer import Importer, State, Wanted
from infra.operations.migration.source import Source
from infra.operations.progress import escaped, progress
from infra.operations.target import INTERRUPTED, PATIENT, STACKS, NoTarget, act_as, reporting, stack_options, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.operations.migration.importer import Outcome, Reader
    from infra.operations.target import Target

DESCRIPTION = """\
Takes the documents of an existing MongoDB collection over into versioned records. The collection is only read. Each
document becomes version 1 of a record, made by `migration`, and lists show it like any other. What cannot be taken over
is skipped and said with its reasons; nothing stops at it.

It may be interrupted at any moment, and started again: it goes on where it was, and nothing is made twice. A run that
came to its end begins anew the next time, and takes over what has come since.
"""
EPILOG = """\
examples:
  scripts/migrate --collection loanApplications --dry-run            what would become of each document
  scripts/migrate --collection loanApplications --skipped skipped.jsonl
  jq -r '.reasons[]' skipped.jsonl | sort | uniq -c | sort -rn       why documents were skipped
  scripts/migrate --collection applications --database legacy --drop-unknown --stage prod

an application's document:
  has applicantName, email, amountMinor, currency, termMonths, perhaps incomeMinor, and status (any there is; none is
  draft), in camelCase or snake_case. Its applicationId becomes the record's id; without one, its _id does. Whole
  numbers may be written as floats. A field that applications do not have has the document skipped, as the field would
  be lost; --drop-unknown says that this is meant.

exit code: 0 if all documents are taken over (or would be), 1 if some are not, 130 if it was interrupted.
"""
#: Who reads a foreign document, by the kind of record it becomes.
READERS: Mapping[str, Reader] = {"application": importing.adopted}
#: More than that would help nobody who reads them on a terminal.
_SKIPPED_SHOWN = 10
_REASONS_SHOWN = 20
_MOST_AT_ONCE = 100


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/migrate",
        description=DESCRIPTION,
        epilog=EPILOG + STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[stack_options()],
    )
    add = parser.add_argument
    add("--collection", required=True, metavar="NAME", help="what to take over")
    add("--database", metavar="NAME", help="where it is; else the database that the stack's MONGODB_URI names")
    add("--kind", choices=sorted(READERS), default="application", help="what documents become (%(default)s)")
    add("--dry-run", action="store_true", help="write nothing, and say what would become of each document")
    add("--drop-unknown", action="store_true", help="take documents over without the fields that records do not have")
    add(
        "--skipped",
        type=Path,
        metavar="FILE",
        help="write every skipped document's _id and reasons there, as JSON lines",
    )
    add("--from-start", action="store_true", help="do not go on where an interrupted run was: look at every document")
    add("--by", default="migration", metavar="NAME", help="who the records say has made them (%(default)s)")
    add(
        "--at-once",
        type=_few,
        default=10,
        metavar="N",
        help=f"writes at the same time, up to {_MOST_AT_ONCE} (%(default)s)",
    )
    return parser.parse_args(arguments)


def run(target: Target, asked: argparse.Namespace) -> int:
    """Take over what was *asked* for, of the stack that this process acts as a part of; return the exit code."""
    source = _source(asked)
    wanted = Wanted(asked.kind, READERS[asked.kind], asked.by, asked.drop_unknown, asked.at_once)
    importer = Importer(source, wanted, dry_run=asked.dry_run)
    before = 0 if asked.dry_run or asked.from_start else importer.resume()
    print(f"{source.name} into records of the kind {asked.kind}, {target.stage} at {target.where}")
    if before:
        print(f"going on after {before:,} documents, which an interrupted run has seen")
    started = monotonic()
    first: list[Outcome] = []
    doing = "checking" if asked.dry_run else "taking over"
    with (
        _told(asked.skipped, going_on=before > 0) as tell,
        progress() as begin,
        closing(importer.pages()) as pages,
    ):
        advance = begin(doing, source.size(), before)
        for outcomes in pages:
            skipped = [outcome for outcome in outcomes if outcome.state is State.SKIPPED]
            tell(skipped)
            first += skipped[: _SKIPPED_SHOWN - len(first)]
            advance(len(outcomes))
    _report(importer, asked, first, (importer.figures.read - before) / (monotonic() - started))
    return 1 if importer.figures.states[State.SKIPPED] else 0


def _source(asked: argparse.Namespace) -> Source:
    """Return the collection that was meant.

    Raises:
        NoTarget: there is none.
    """
    ours = clients.mongodb()
    with reaching_mongodb():
        named = ours.client.get_default_database(ours.name).name
        database = ours.client[asked.database or named].with_options(codec_options=ours.codec_options)
        if asked.collection not in (there := database.list_collection_names()):
            known = ", ".join(sorted(there)[:20]) or "none at all"
            raise NoTarget(f"The database {database.name} has no collection {asked.collection}; it has {known}.")
    return Source(database[asked.collection])


@contextmanager
def _told(file: Path | None, *, going_on: bool) -> Iterator[Callable[[list[Outcome]], None]]:
    """Yield what writes skipped documents to *file*, behind those of the run that this one goes on from."""
    if file is None:
        yield lambda _: None
        return
    with file.open("a" if going_on else "w") as lines:

        def tell(skipped: list[Outcome]) -> None:
            lines.writelines(f"{_as_json(one)}\n" for one in skipped)
            # Before the bookmark passes them.
            lines.flush()

        yield tell


def _as_json(outcome: Outcome) -> str:
    # An ObjectId as mongoexport writes it, so that it can be searched for.
    return json_util.dumps({"id": outcome.id, "reasons": outcome.reasons})


def _report(importer: Importer, asked: argparse.Namespace, first: list[Outcome], per_second: float) -> None:
    figures = importer.figures
    made, there, skipped = (figures.states[state] for state in (State.MADE, State.THERE, State.SKIPPED))
    would = "would be " if asked.dry_run else ""
    print(f"{figures.read:,} documents read, {per_second:,.0f} per second:")
    print(f"  {made:,} {would}taken over")
    print(f"  {there:,} had been before")
    print(f"  {skipped:,} {would}skipped")
    if not skipped:
        return
    print("why:")
    for reason, count in figures.reasons.most_common(_REASONS_SHOWN):
        print(f"  {count:>9,}  {escaped(reason)}")
    if len(figures.reasons) > _REASONS_SHOWN:
        print(f"  and {len(figures.reasons) - _REASONS_SHOWN} reasons more")
    print("which:")
    for outcome in first:
        print(f"  {escaped(str(outcome.id))}  {escaped('; '.join(outcome.reasons))}")
    if skipped > len(first):
        where = f"all are in {asked.skipped}" if asked.skipped else "--skipped FILE names all"
        print(f"  and {skipped - len(first):,} more; {where}")


def _few(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_AT_ONCE:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_AT_ONCE}")
    return int(text)


def main(arguments: list[str]) -> int:
    """Do what was asked for and return the exit code."""
    asked = parsed(arguments)
    again = "What was taken over stays so; the same command goes on from there."
    with reporting("migrate"):
        try:
            target = target_of(asked, os.environ)
            act_as(target, **PATIENT, AWS_CLIENT_MAX_CONNECTIONS=str(asked.at_once))
            return run(target, asked)
        except KeyboardInterrupt:
            print(f"\nInterrupted. {again}", file=sys.stderr)
            return INTERRUPTED
        except Unavailable as error:
            sys.exit(f"{error} {again}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
