"""A request means the version that it names, in its body or by the ETag of a read."""

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.core.records.errors import VersionRequired
from chalicelib.core.records.etags import etag, version
from tests.unit.core.records.build import a_record


def test_what_a_read_has_given_means_the_version_that_was_read() -> None:
    given = etag(a_record(version=12))
    assert given == {"ETag": '"12"'}
    assert version(None, given["ETag"]) == 12


def test_the_request_itself_may_name_its_version() -> None:
    assert version(3, None) == 3


@pytest.mark.parametrize("if_match", ['"3"', ' "3" ', '\t"3"'])
def test_both_may_name_the_same(if_match: str) -> None:
    assert version(3, if_match) == 3


def test_a_request_that_names_none_is_asked_for_one() -> None:
    with pytest.raises(VersionRequired):
        version(None, None)


def test_two_that_differ_mean_nothing() -> None:
    with pytest.raises(Invalid) as refused:
        version(3, '"4"')
    assert [(error.path, error.message) for error in refused.value.errors] == [
        ("If-Match", "names another version than the request does")
    ]


@pytest.mark.parametrize(
    "if_match",
    [
        "",
        "*",
        "3",
        'W/"3"',
        '"3", "4"',
        '"0"',
        '"-3"',
        '"03"',
        '"3.0"',
        '"three"',
        '"3',
        '""',
        '"٣"',
        '"' + "9" * 17 + '"',
    ],
)
@pytest.mark.parametrize("given", [None, 3])
def test_what_no_read_has_given_is_refused(given: int | None, if_match: str) -> None:
    with pytest.raises(Invalid) as refused:
        version(given, if_match)
    assert [error.path for error in refused.value.errors] == ["If-Match"]
