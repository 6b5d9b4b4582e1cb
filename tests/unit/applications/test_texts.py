"""The texts that lists join are the JSON of single reads."""

from typing import Any

from pymongo.database import Database

from chalicelib.applications.search import KIND, SHAPE
from chalicelib.core.records import wiring as records
from infra.deployment import indexes
from tests.support.gateway import ask
from tests.unit.applications.build import PATH, make
from tests.unit.conftest import Printed

Mongo = Database[dict[str, Any]]


def test_list_shows_each_application_as_its_single_read(officer: str, mongodb: Mongo) -> None:
    made = make(officer, applicantName='Zoë "Ada" \\ Łovelace', incomeMinor=None)
    read = ask("GET", f"{PATH}/{made['applicationId']}", token=officer)
    listed = ask("GET", PATH, token=officer)
    assert read.text in listed.text
    assert listed.json["items"] == [read.json]
    # A list renders a copy without a text, of an earlier version.
    records.view().of(KIND.name).update_many({}, {"$unset": {"text": 1, "shape": 1}})
    assert ask("GET", PATH, token=officer).text == listed.text


def test_deployment_renders_the_texts_of_earlier_versions(officer: str, mongodb: Mongo) -> None:
    make(officer)
    copies = records.view().of(KIND.name)
    (before,) = copies.find()
    copies.update_many({}, {"$unset": {"text": 1, "shape": 1}})
    indexes.upgrade(mongodb)
    assert list(copies.find()) == [before]
    assert before["shape"] == SHAPE.version


def test_list_makes_two_round_trips(officer: str, printed: Printed) -> None:
    make(officer)
    ask("GET", PATH, token=officer)
    assert printed.lines()[-1]["storeRoundTrips"] == 2
