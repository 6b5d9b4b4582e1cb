"""``scripts/migrate``: the command line that imports an existing MongoDB collection into versioned records."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from bson import json_util

from chalicelib import slices
from chalicelib.applications import importing
from chalicelib.core.errors import Unavailable
from chalicelib.core.records.reconcile import check_database
from chalicelib.core.stores import clients
from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.core.web import reserved
from infra.operations.failures import reporting
from infra.operations.migration.importer import Importer, State, Wanted
from infra.operations.migration.source import Source
from infra.operations.progress import escaped, progress
from infra.operations.target import PATIENT, NoTarget, act_as, parser_of, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.operations.migration.importer import Outcome, Reader
    from infra.operations.target import Target

DESCRIPTION = """\
Imports the documents of an existing MongoDB collection into versioned records. The collection is only read. Each
document becomes version 1 of a record, made by `migration`, and lists show the record like any other. A document that
cannot be imported is skipped and reported with its reasons; the import continues with the next document.

The import may be interrupted at any time. Run the same command to resume: no record is made twice. After a complete
run, the next run starts from the beginning, and imports the documents added since.
"""
EPILOG = """\
examples:
  scripts/migrate --collection loanApplications --dry-run            report the result, write nothing
  scripts/migrate --collection loanApplications --skipped skipped.jsonl
  jq -r '.reasons[]' skipped.jsonl | sort | uniq -c | sort -rn       count the reasons of skipped documents
  scripts/migrate --collection applications --database legacy --drop-unknown --stage prod

an application's document:
  Fields: applicantName, email, amountMinor, currency, termMonths, optional incomeMinor, and status (any application
  status; default draft), in camelCase or snake_case. The applicationId becomes the record's id; without an
  applicationId, the _id does. Whole numbers may be written as floats. A document with a field that applications do not
  have is skipped, because the field would be lost; with --drop-unknown the document is imported without the field.

exit code: 0 if all documents are imported (or would be), 1 if some are not, 130 if interrupted.
"""
#: Functions that read a foreign document, by the kind of record to be made.
READERS: Mapping[str, Reader] = {
    "application": partial(
        importing.adopted,
        taken=reserved.words("application_id", (known.path for routes in slices.ROUTES for known in routes.endpoints)),
    )
}
#: More lines would not help a reader at a terminal.
_SKIPPED_SHOWN = 10
_REASONS_SHOWN = 20
_MOST_AT_ONCE = 100


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = parser_of("scripts/migrate", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--collection", required=True, metavar="NAME", help="collection to import")
    add("--database", metavar="NAME", help="database of the collection; default: the database in the MONGODB_URI")
    add("--kind", choices=sorted(READERS), default="application", help="kind of the records to make (%(default)s)")
    add("--dry-run", action="store_true", help="write nothing; report the result that an import would have")
    add("--drop-unknown", action="store_true", help="import documents without the fields that records do not have")
    add(
        "--skipped",
        type=Path,
        metavar="FILE",
        help="write the _id and the reasons of every skipped document to FILE, as JSON lines",
    )
    add("--from-start", action="store_true", help="do not resume an interrupted run; check every document again")
    add("--by", default="migration", metavar="NAME", help="user name recorded as maker of the records (%(default)s)")
    add(
        "--at-once",
        type=_few,
        default=10,
        metavar="N",
        help=f"concurrent writes, up to {_MOST_AT_ONCE} (%(default)s)",
    )
    return parser.parse_args(arguments)


def run(target: Target, asked: argparse.Namespace) -> int:
    """Import the collection that *asked* names into the stack whose settings this process has taken.

    Return the exit code: 0 if no document was skipped, else 1.

    Raises:
        DatabaseRefused: the stack's database is not marked as the stack's; nothing was changed.
    """
    check_database()
    source = _source(asked)
    wanted = Wanted(asked.kind, READERS[asked.kind], asked.by, asked.drop_unknown, asked.at_once)
    importer = Importer(source, wanted, dry_run=asked.dry_run)
    before = 0 if asked.dry_run or asked.from_start else importer.resume()
    print(f"{source.name} into records of the kind {asked.kind}, {target.stage} at {target.where}")
    if before:
        print(f"resuming after {before:,} documents of an interrupted run")
    started = monotonic()
    first: list[Outcome] = []
    doing = "checking" if asked.dry_run else "importing"
    with (
        _skipped_file(asked.skipped, resumed=before > 0) as write_skipped,
        progress() as begin,
        closing(importer.pages()) as pages,
    ):
        advance = begin(doing, source.size(), before)
        for outcomes in pages:
            skipped = [outcome for outcome in outcomes if outcome.state is State.SKIPPED]
            write_skipped(skipped)
            first += skipped[: _SKIPPED_SHOWN - len(first)]
            advance(len(outcomes))
    _report(importer, asked, first, (importer.figures.read - before) / (monotonic() - started))
    return 1 if importer.figures.states[State.SKIPPED] else 0


def _source(asked: argparse.Namespace) -> Source:
    """Return the collection that *asked* names.

    Raises:
        NoTarget: the database has no such collection.
    """
    ours = clients.mongodb()
    with reaching_mongodb():
        named = ours.client.get_default_database(ours.name).name
        database = ours.client[asked.database or named].with_options(codec_options=ours.codec_options)
        if asked.collection not in (present := database.list_collection_names()):
            known = ", ".join(sorted(present)[:20]) or "no collections at all"
            raise NoTarget(
                f"The database {database.name} has no collection {asked.collection}; the database has {known}."
            )
    return Source(database[asked.collection])


@contextmanager
def _skipped_file(file: Path | None, *, resumed: bool) -> Iterator[Callable[[list[Outcome]], None]]:
    """Yield a function that writes skipped documents to *file*. A *resumed* run appends; a new run overwrites."""
    if file is None:
        yield lambda _: None
        return
    with file.open("a" if resumed else "w") as lines:

        def write_skipped(skipped: list[Outcome]) -> None:
            lines.writelines(f"{_as_json(outcome)}\n" for outcome in skipped)
            # The lines must be in the file before the bookmark passes their documents.
            lines.flush()

        yield write_skipped


def _as_json(outcome: Outcome) -> str:
    # An ObjectId takes mongoexport's form, so that a reader can search for the id.
    return json_util.dumps({"id": outcome.id, "reasons": outcome.reasons})


def _report(importer: Importer, asked: argparse.Namespace, first: list[Outcome], per_second: float) -> None:
    figures = importer.figures
    made, there, skipped = (figures.states[state] for state in (State.MADE, State.THERE, State.SKIPPED))
    would = "would be " if asked.dry_run else ""
    print(f"{figures.read:,} documents read, {per_second:,.0f} per second:")
    print(f"  {made:,} {would}imported")
    print(f"  {there:,} imported before")
    print(f"  {skipped:,} {would}skipped")
    if not skipped:
        return
    print("why:")
    for reason, count in figures.reasons.most_common(_REASONS_SHOWN):
        print(f"  {count:>9,}  {escaped(reason)}")
    if len(figures.reasons) > _REASONS_SHOWN:
        print(f"  and {len(figures.reasons) - _REASONS_SHOWN} more reasons")
    print("documents:")
    for outcome in first:
        print(f"  {escaped(str(outcome.id))}  {escaped('; '.join(outcome.reasons))}")
    if skipped > len(first):
        where = f"the full list is in {asked.skipped}" if asked.skipped else "--skipped FILE writes the full list"
        print(f"  and {skipped - len(first):,} more; {where}")


def _few(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_AT_ONCE:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_AT_ONCE}")
    return int(text)


def main(arguments: list[str]) -> int:
    """Run the import and return the exit code."""
    asked = parsed(arguments)
    resume = "Imported records are kept; run the same command to resume."
    with reporting("migrate", f"Interrupted. {resume}"):
        try:
            target = target_of(asked, os.environ)
            act_as(target, **PATIENT, AWS_CLIENT_MAX_CONNECTIONS=str(asked.at_once))
            return run(target, asked)
        except Unavailable as error:
            sys.exit(f"{error} {resume}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
