import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.applications.search import KIND, ApplicationQuery, folded
from chalicelib.core.records.models import Record


def record(**doc: str) -> Record:
    fields = {"applicantName": "Zoë O'Brien-Smith", "email": "Zoe.Smith@Example.org", **doc}
    return Record("application", "A-17", 1, fields, "", "", "", "", "", "")


@pytest.mark.parametrize(
    "beginning",
    ["zoe", "ZOË", "o'br", "brien", "smith", "brien-s"[:5], "zoe.smith@ex", "example.o"[:7], "org", "a-1", "17"],
)
def test_an_application_is_found_by_the_beginning_of_each_word(beginning: str) -> None:
    (text,) = ApplicationQuery.model_validate({"q": beginning}).beginnings
    assert any(word.startswith(text) for word in KIND.keys(record())["words"])


@pytest.mark.parametrize("text", ["oe", "mith", "smithers", "zoe-"])
def test_an_application_is_not_found_by_other_parts_of_words(text: str) -> None:
    assert not any(word.startswith(folded(text)) for word in KIND.keys(record())["words"])


def test_a_query_keeps_its_five_longest_words_once_each() -> None:
    query = ApplicationQuery.model_validate({"q": " b  ab AB abc d e f g "})
    assert query.beginnings == ["abc", "ab", "b", "d", "e"]


@given(st.text(max_size=200), st.emails())
def test_any_name_has_a_bounded_number_of_words(name: str, email: str) -> None:
    keys = KIND.keys(record(applicantName=name, email=email))
    assert len(keys["words"]) <= 24
    assert keys["name"] == folded(name)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(folded(text))) == folded(folded(text))


def test_email_and_id_are_found_behind_a_name_of_many_words() -> None:
    long = record(applicantName=" ".join(f"w{number}" for number in range(27)))
    words = KIND.keys(long)["words"]
    assert {folded(long.doc["email"]), folded(long.id)} <= set(words)
    assert "w10" in words
