"""Import of a collection as versioned records: each document once, also after kills and outages."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from bson import Decimal128, ObjectId, encode
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from chalicelib.core.errors import Unavailable
from chalicelib.core.records import wiring as records_wiring
from chalicelib.core.records.errors import RecordNotFound
from chalicelib.core.records.models import Change, Record
from chalicelib.core.records.store import Records
from chalicelib.core.stores import clients
from chalicelib.core.stores.binding import Deployment
from infra.operations import target
from infra.operations.migration import __main__ as migrate
from infra.operations.migration import source
from infra.operations.target import Target
from tests.unit.conftest import STAGE

Mongo = Database[dict[str, Any]]
Documents = list[dict[str, Any]]
KIND = "application"
OLD = "oldApplications"
DOC = {
    "applicantName": "Ann",
    "email": "ann@example.org",
    "amountMinor": 1_000,
    "currency": "EUR",
    "termMonths": 12,
    "incomeMinor": None,
    "status": "approved",
}


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def collection(
    mongodb: Mongo, bound: Deployment, monkeypatch: pytest.MonkeyPatch, options: Callable[..., None]
) -> Iterator[Any]:
    # Small pages; and a long time for the eager projection, as no stream follows it here
    monkeypatch.setattr(source, "_PAGE", 4)
    options(RECORDS_EARLY_WITHIN_MS="30000")
    records_wiring.view.cache_clear()
    yield mongodb[OLD]
    mongodb[OLD].drop()
    records_wiring.view.cache_clear()


def a_document(_id: Any, **fields: Any) -> dict[str, Any]:
    return {"_id": _id, **DOC, **fields}


def run(*arguments: str) -> int:
    asked = migrate.parsed(["--collection", OLD, *arguments])
    return migrate.run(Target(STAGE, "here", lambda _: None, {}), asked)


def records() -> dict[str, Record]:
    items, _ = records_wiring.store().walk("", 1_000)
    found = [records_wiring.store().get_including_deleted(*item["pk"].split("#", 1)) for item in items]
    return {record.id: record for record in found if record}


def all_items() -> list[Any]:
    """Return every item of the tables that a migration writes to."""
    return [clients.table(name).scan("", 1_000)[0] for name in ("records", "coordination")]


def skipped_lines(file: Path) -> list[tuple[Any, list[str]]]:
    read = [json.loads(line) for line in file.read_text().splitlines()]
    return [(line["id"], line["reasons"]) for line in read]


def fail_creation(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> None:
    """Raise *error* at the creation of a record, *after* successful creations."""
    create, turn, made = Records.create, threading.Lock(), 0

    def counted(*arguments: Any, **more: Any) -> Record:
        nonlocal made
        with turn:
            if made == after:
                raise error
            made += 1
        return create(*arguments, **more)

    monkeypatch.setattr(Records, "create", counted)


def read_ids(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that collects the ids of all documents read from now on."""
    ids: list[Any] = []
    read = migrate.READERS[KIND]

    def reading(document: dict[str, Any], **more: Any) -> Any:
        ids.append(document["_id"])
        return read(document, **more)

    monkeypatch.setattr(migrate, "READERS", {KIND: reading})
    return ids


# --- from document to record


def test_a_document_becomes_version_one_of_a_record_in_lists(collection: Any, mongodb: Mongo) -> None:
    oid = ObjectId()
    collection.insert_many([a_document(oid), a_document("A-2", status="draft"), a_document("x", applicationId="A-3")])
    assert run() == 0
    made = records()
    assert made.keys() == {str(oid), "A-2", "A-3"}
    assert {record.version for record in made.values()} == {1}
    assert {record.created_by for record in made.values()} == {"migration"}
    assert made[str(oid)].doc == DOC
    assert made["A-2"].doc == {**DOC, "status": "draft"}
    shown = list(mongodb[f"records.{KIND}"].find())
    assert {copy["_id"]: copy["doc"] for copy in shown} == {record.id: record.doc for record in made.values()}


def test_a_record_annotated_since_its_import_is_kept(collection: Any, mongodb: Mongo) -> None:
    collection.insert_one(a_document("A-1"))
    assert run() == 0
    annotated = records_wiring.store().annotate(KIND, "A-1", {"score": 0.5}, operation="score")
    assert run() == 0
    assert records() == {"A-1": annotated}
    copy = mongodb[f"records.{KIND}"].find_one({"_id": "A-1"}) or {}
    assert (copy["version"], copy["annotations"]) == (1, {"score": 0.5})


def test_the_option_by_sets_the_creator_of_records(collection: Any) -> None:
    collection.insert_one(a_document("A-1"))
    assert run("--by", "import-2026") == 0
    assert records()["A-1"].created_by == "import-2026"


def test_decimals_and_floats_of_whole_value_are_read(collection: Any) -> None:
    whole = {"amountMinor": Decimal128("1000.00"), "termMonths": 12.0}
    collection.insert_many([a_document("A-1", **whole), a_document("A-2", amountMinor=Decimal128("10.5"))])
    assert run() == 1
    assert [(record.id, record.doc) for record in records().values()] == [("A-1", DOC)]


def test_the_option_database_selects_the_database(collection: Any, mongodb: Mongo) -> None:
    elsewhere = mongodb.client["elsewhere"]
    elsewhere[OLD].insert_one(a_document("A-1"))
    try:
        with pytest.raises(target.NoTarget, match=f"no collection {OLD}"):
            run()
        assert run("--database", "elsewhere") == 0
        assert records().keys() == {"A-1"}
    finally:
        mongodb.client.drop_database("elsewhere")


@pytest.mark.parametrize("size", [1, 4])
def test_ids_of_every_type_are_found_page_by_page(collection: Any, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(source, "_PAGE", size)
    ids = [*range(3), *"abcde", "$g", *(ObjectId() for _ in range(3)), {"part": 1}, {"part": 2}, 2.5]
    collection.insert_many([a_document(_id, applicationId=f"A-{number}") for number, _id in enumerate(ids)])
    assert run() == 0
    assert records().keys() == {f"A-{number}" for number in range(len(ids))}


def test_a_page_is_cut_at_its_limit_of_bytes(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAGE_BYTES", 100)
    collection.insert_many([a_document(f"A-{number}") for number in range(5)])
    assert len(source.Source(collection).page(None)) == 1
    assert run() == 0
    assert len(records()) == 5


# --- repeated, interrupted and racing runs


def test_a_second_run_imports_new_documents_alone(collection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    collection.insert_many([a_document(f"B-{number}") for number in range(6)])
    assert run() == 0
    made = records()
    capsys.readouterr()
    # An id before all others, which a bookmark would have passed
    collection.insert_one(a_document("A-0"))
    assert run() == 0
    assert "1 imported\n  6 imported before\n  0 skipped" in capsys.readouterr().out
    assert records() == {**made, "A-0": records()["A-0"]}
    assert {record.version for record in records().values()} == {1}


@pytest.mark.parametrize("died_after", [0, 3, 4, 9, 14])
def test_a_killed_run_is_resumed_at_its_bookmark(
    collection: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    died_after: int,
) -> None:
    # Given 20 documents, four to a page; the first of each page is invalid
    collection.insert_many([a_document(f"A-{n:02}", **({} if n % 4 else {"currency": "?"})) for n in range(20)])
    file = tmp_path / "skipped.jsonl"
    with monkeypatch.context() as patch:
        fail_creation(patch, died_after, Killed())
        with suppress(Killed):
            run("--skipped", str(file), "--at-once", "1")
    assert len(records()) == died_after
    earlier, pages = records(), died_after // 3
    # When
    ids = read_ids(monkeypatch)
    assert run("--skipped", str(file)) == 1
    # Then only pages after the bookmark are read, each record exists once, and the figures cover both runs
    assert ids == [f"A-{number:02}" for number in range(4 * pages, 20)]
    assert len(records()) == 15
    assert {record.version for record in records().values()} == {1}
    assert all(records()[record_id] == record for record_id, record in earlier.items())
    assert {one for one, _ in skipped_lines(file)} == {f"A-{number:02}" for number in range(0, 20, 4)}
    out = capsys.readouterr().out
    assert "20 documents read" in out
    assert "5 skipped" in out


def test_the_option_from_start_ignores_the_bookmark(
    collection: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collection.insert_many([a_document(f"A-{number:02}") for number in range(12)])
    with monkeypatch.context() as patch:
        fail_creation(patch, 9, Killed())
        with suppress(Killed):
            run("--at-once", "1")
    ids = read_ids(monkeypatch)
    assert run("--from-start") == 0
    assert len(ids) == 12
    assert "3 imported\n  9 imported before" in capsys.readouterr().out


def test_a_run_with_other_options_reads_skipped_documents_again(
    collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.insert_many([a_document(f"A-{number:02}", note="x") for number in range(4)])
    collection.insert_many([a_document(f"B-{number:02}") for number in range(4)])
    with monkeypatch.context() as patch:
        fail_creation(patch, 2, Killed())
        with suppress(Killed):
            run("--at-once", "1")
    assert run("--drop-unknown") == 0
    assert len(records()) == 8


def test_two_concurrent_runs_make_every_record_once(collection: Any) -> None:
    collection.insert_many([a_document(f"A-{number:02}") for number in range(12)])
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(run())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    assert len(records()) == 12
    assert {record.version for record in records().values()} == {1}


def test_a_short_outage_is_waited_out(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_many([a_document(f"A-{number:02}") for number in range(12)])
    waited: list[float] = []
    monkeypatch.setattr(target, "_PAUSES_SECONDS", (0.01, 0.02))
    create, left = Records.create, [Unavailable(), Unavailable()]

    def failing(*arguments: Any, **more: Any) -> Record:
        record = create(*arguments, **more)
        if left:
            # The record was created, and the answer lost
            waited.append(1)
            raise left.pop()
        return record

    monkeypatch.setattr(Records, "create", failing)
    assert run("--at-once", "1") == 0
    assert len(waited) == 2
    assert {record.version for record in records().values()} == {1}
    assert len(records()) == 12


def test_a_long_outage_ends_the_run_and_the_next_run_resumes(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_many([a_document(f"A-{number:02}") for number in range(12)])
    with monkeypatch.context() as patch:
        patch.setattr(target, "_PAUSES_SECONDS", (0.01,))
        fail_creation(patch, 6, Unavailable())
        with pytest.raises(Unavailable):
            run()
    ids = read_ids(monkeypatch)
    assert run() == 0
    assert len(ids) == 8
    assert len(records()) == 12


def test_concurrent_writes_reach_and_keep_the_given_limit(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAGE", 50)
    collection.insert_many([a_document(f"A-{number:02}") for number in range(30)])
    create, turn, now, most = Records.create, threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def counted(*arguments: Any, **more: Any) -> Record:
        nonlocal now, most
        with turn:
            now += 1
            most = max(most, now)
        together.wait(timeout=30)
        try:
            return create(*arguments, **more)
        finally:
            with turn:
                now -= 1

    monkeypatch.setattr(Records, "create", counted)
    assert run("--at-once", "3") == 0
    assert most == 3


# --- skipped documents


def test_an_invalid_document_is_skipped_and_others_are_imported(
    collection: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oid = ObjectId()
    collection.insert_many(
        [
            a_document("A-1"),
            a_document(oid, amountMinor="much", note=1),
            a_document("no id"),
            a_document("B-1", status="lost"),
            a_document("B-2", at=DatetimeMS(2**60)),
            a_document("B-3", note=2),
            a_document("C-1"),
        ]
    )
    file = tmp_path / "skipped.jsonl"
    assert run("--skipped", str(file)) == 1
    assert records().keys() == {"A-1", "C-1"}
    statuses = "draft, submitted, review, approved, rejected, disbursed"
    assert {str(one): reasons for one, reasons in skipped_lines(file)} == {
        str({"$oid": str(oid)}): [
            "amountMinor: must be a whole number",
            "note: is not a field of this request",
        ],
        "no id": ["_id: must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or a digit"],
        "B-1": [f"status: must be one of: {statuses}"],
        "B-2": ["at: is not a field of this request"],
        "B-3": ["note: is not a field of this request"],
    }
    out = capsys.readouterr().out
    assert "        2  note: is not a field of this request" in out
    assert f"{oid}  amountMinor: must be a whole number; note: is not" in out


def test_the_option_drop_unknown_drops_unknown_fields(collection: Any) -> None:
    collection.insert_one(a_document("A-1", note=1, __v=0))
    assert run("--drop-unknown") == 0
    assert records()["A-1"].doc == DOC


def test_invalid_utf8_skips_its_document_alone(collection: Any, tmp_path: Path) -> None:
    broken = encode(a_document("A-1", applicantName="Mark")).replace(b"Mark", b"Ma\xffk")
    collection.insert_many([RawBSONDocument(broken), a_document("A-2")])
    file = tmp_path / "skipped.jsonl"
    assert run("--skipped", str(file)) == 1
    assert records().keys() == {"A-2"}
    assert skipped_lines(file)[0][0] == "A-1"


def test_a_failing_reader_skips_its_document_alone(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_many([a_document("A-1"), a_document("A-2")])
    read = migrate.READERS[KIND]

    def failing(document: dict[str, Any], **more: Any) -> Any:
        return read(document, **more) if document["_id"] == "A-2" else 1 / 0

    monkeypatch.setattr(migrate, "READERS", {KIND: failing})
    assert run() == 1
    assert records().keys() == {"A-2"}


@pytest.mark.parametrize(("code", "stops"), [("ValidationException", False), ("AccessDeniedException", True)])
def test_an_invalid_item_is_skipped_and_a_denied_write_ends_the_run(
    collection: Any, monkeypatch: pytest.MonkeyPatch, code: str, stops: bool
) -> None:
    collection.insert_many([a_document("A-1"), a_document("A-2")])
    create = Records.create

    def refused(self: Records, kind: str, record_id: str, *arguments: Any, **more: Any) -> Record:
        if record_id == "A-1":
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "UpdateItem")
        return create(self, kind, record_id, *arguments, **more)

    monkeypatch.setattr(Records, "create", refused)
    if stops:
        with pytest.raises(ClientError):
            run()
    else:
        assert run() == 1
        assert records().keys() == {"A-2"}


def test_a_document_too_large_for_a_record_is_skipped(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {**DOC, "applicantName": "x" * 360_000}
    monkeypatch.setattr(migrate, "READERS", {KIND: lambda document, **_: (document["_id"], large)})
    collection.insert_one(a_document("A-1"))
    for arguments in (["--dry-run"], []):
        assert run(*arguments) == 1
    assert not records()


def test_a_record_not_made_by_the_import_is_kept(collection: Any, tmp_path: Path) -> None:
    # Given an existing record, a deleted record, and an applicationId of several documents
    truth = records_wiring.store()
    truth.create(KIND, "A-1", {**DOC, "amountMinor": 5}, by="ann", operation="one")
    truth.create(KIND, "A-2", DOC, by="ann", operation="two")
    truth.remove(KIND, "A-2", 1, by="ann", operation="gone")
    before = records()
    collection.insert_many([a_document("A-1"), a_document("A-2"), a_document("A-3")])
    collection.insert_many([a_document(f"B-{number}", applicationId="TWICE") for number in range(6)])
    # When
    file = tmp_path / "skipped.jsonl"
    assert run("--skipped", str(file)) == 1
    # Then
    assert {name: records()[name] for name in before} == before
    assert records().keys() == {"A-1", "A-2", "A-3", "TWICE"}
    assert skipped_lines(file) == [
        ("A-1", ["another record has the document's id"]),
        ("A-2", ["a record with the document's id was deleted"]),
        *((f"B-{number}", ["another document of the collection has the same id"]) for number in range(1, 6)),
    ]


def test_a_record_made_by_another_during_the_import_is_kept(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_one(a_document("A-1"))
    create = Records.create

    def overtaken(self: Records, kind: str, record_id: str, doc: Any, **more: Any) -> Record:
        create(self, kind, record_id, {**doc, "amountMinor": 7}, by="ann", operation="faster")
        return create(self, kind, record_id, doc, **more)

    monkeypatch.setattr(Records, "create", overtaken)
    assert run() == 1
    assert records()["A-1"].created_by == "ann"


def test_changes_of_a_record_after_its_import_are_kept(collection: Any, tmp_path: Path) -> None:
    # Given imported records
    collection.insert_many([a_document(f"A-{number}") for number in range(4)])
    assert run() == 0
    # When a record is changed, a record is deleted, and a source document is changed
    records_wiring.store().commit(KIND, Change("A-1", 1, {"status": "disbursed"}), by="ann", operation="paid")
    records_wiring.store().remove(KIND, "A-2", 1, by="ann", operation="gone")
    collection.update_one({"_id": "A-3"}, {"$set": {"amountMinor": 9}})
    before = records()
    file = tmp_path / "skipped.jsonl"
    assert run("--skipped", str(file)) == 1
    # Then
    assert records() == before
    with pytest.raises(RecordNotFound):
        records_wiring.store().get(KIND, "A-2")
    assert skipped_lines(file) == [
        ("A-2", ["the record was deleted after the import"]),
        ("A-3", ["the document was changed in the collection after the import"]),
    ]


def test_a_malformed_item_skips_its_document_alone(collection: Any) -> None:
    clients.table("records").put({"pk": f"{KIND}#A-1", "version": 1}, when="")
    collection.insert_many([a_document("A-1"), a_document("A-2")])
    assert run() == 1
    assert records_wiring.store().get(KIND, "A-2").version == 1


# --- dry run


def test_a_dry_run_writes_nothing_and_reports_the_same_figures(
    collection: Any, mongodb: Mongo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given
    records_wiring.store().create(KIND, "A-01", DOC, by="ann", operation="one")
    collection.insert_many([a_document(f"A-{number:02}") for number in range(9)])
    collection.insert_many([a_document(f"B-{number}", applicationId="TWICE") for number in range(6)])
    collection.insert_one(a_document("C-1", note="x"))
    before, copies = all_items(), list(mongodb[f"records.{KIND}"].find())
    # When
    said = []
    for arguments in (["--dry-run"], ["--dry-run", "--from-start"], []):
        assert run("--skipped", str(tmp_path / "skipped.jsonl"), *arguments) == 1
        out = capsys.readouterr().out.replace("would be ", "").splitlines()
        said.append((out[2:], (tmp_path / "skipped.jsonl").read_text()))
        if arguments:
            assert all_items() == before
            assert list(mongodb[f"records.{KIND}"].find()) == copies
    # Then
    assert said[0] == said[1] == said[2]
    assert said[0][0][:3] == ["  9 imported", "  0 imported before", "  7 skipped"]


def test_a_dry_run_reads_all_documents_and_keeps_the_bookmark(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.insert_many([a_document(f"A-{number:02}") for number in range(12)])
    with monkeypatch.context() as patch:
        fail_creation(patch, 9, Killed())
        with suppress(Killed):
            run("--at-once", "1")
    with monkeypatch.context() as patch:
        ids = read_ids(patch)
        assert run("--dry-run") == 0
        assert len(ids) == 12
    ids = read_ids(monkeypatch)
    assert run() == 0
    assert len(ids) == 4


# --- output


def test_the_terminal_shows_a_few_skipped_documents_escaped(
    collection: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = {f"\x1b[3{number}m": 1 for number in range(30)}
    collection.insert_many([a_document(f"A \x1b{number:02}", **strange) for number in range(25)])
    file = tmp_path / "skipped.jsonl"
    assert run("--skipped", str(file)) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "and 15 more" in out
    assert len(out.splitlines()) < 50
    assert len(skipped_lines(file)) == 25
    assert {(len(reasons), reasons[-1]) for _, reasons in skipped_lines(file)} == {(21, "and 11 more faults")}


def test_skipped_documents_are_filed_before_the_next_page_is_read(
    collection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two pages, the first with an invalid document
    collection.insert_many([a_document(f"A-{number}", **({} if number else {"note": 1})) for number in range(8)])
    file, seen = tmp_path / "skipped.jsonl", {}
    read = migrate.READERS[KIND]

    def reading(document: dict[str, Any], **more: Any) -> Any:
        seen[document["_id"]] = len(skipped_lines(file))
        return read(document, **more)

    monkeypatch.setattr(migrate, "READERS", {KIND: reading})
    # When
    assert run("--skipped", str(file)) == 1
    # Then a kill at this point loses no skipped document that the bookmark has passed
    assert (seen["A-3"], seen["A-4"]) == (0, 1)


def test_a_new_run_overwrites_the_file_of_skipped_documents(collection: Any, tmp_path: Path) -> None:
    collection.insert_one(a_document("A-1", note=1))
    file = tmp_path / "skipped.jsonl"
    for _ in range(2):
        assert run("--skipped", str(file)) == 1
    assert len(skipped_lines(file)) == 1


def test_an_empty_collection_is_imported(collection: Any, mongodb: Mongo) -> None:
    mongodb.create_collection(OLD)
    assert run() == 0


@pytest.mark.parametrize("wrong", [["--at-once", "0"], ["--at-once", "101"], ["--at-once", "x"], ["--kind", "song"]])
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        migrate.parsed(["--collection", OLD, *wrong])


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Unavailable("MongoDB is down."), None)])
def test_an_interrupted_run_prints_how_to_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int | None
) -> None:
    def interrupted(*_: Any) -> int:
        raise error

    monkeypatch.setattr(migrate, "target_of", lambda *_: Target(STAGE, "here", lambda _: None, {}))
    monkeypatch.setattr(migrate, "act_as", lambda *_, **__: None)
    monkeypatch.setattr(migrate, "run", interrupted)
    if code:
        with pytest.raises(SystemExit) as ended:
            migrate.main(["--collection", OLD])
        assert ended.value.code == code
        assert "run the same command to resume" in capsys.readouterr().err
    else:
        with pytest.raises(SystemExit, match=r"is down. .*run the same command to resume"):
            migrate.main(["--collection", OLD])
