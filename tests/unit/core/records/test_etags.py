"""A request names the expected version in its body or by the ETag of a read."""

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.core.records.errors import VersionRequired
from chalicelib.core.records.etags import etag, unchanged, version
from chalicelib.core.records.models import expects
from tests.unit.core.records.build import a_record


def test_etag_of_a_read_names_the_version_read() -> None:
    given = etag(a_record(version=12))
    assert given == {"ETag": '"12"'}
    assert version(None, given["ETag"]) == 12


def test_version_in_the_body_is_accepted() -> None:
    assert version(3, None) == 3


@pytest.mark.parametrize("if_match", ['"3"', ' "3" ', '\t"3"'])
def test_body_and_header_may_name_the_same_version(if_match: str) -> None:
    assert version(3, if_match) == 3


def test_request_without_a_version_is_refused() -> None:
    with pytest.raises(VersionRequired):
        version(None, None)


def test_body_and_header_that_differ_are_refused() -> None:
    with pytest.raises(Invalid) as refused:
        version(3, '"4"')
    assert [(error.path, error.message) for error in refused.value.errors] == [
        ("If-Match", "names another version than the request does")
    ]


@pytest.mark.parametrize(
    "if_match",
    [
        "",
        "3",
        'w/"3"',
        '"3" "4"',
        '"3",',
        '*, "3"',
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
def test_malformed_if_match_header_is_refused(given: int | None, if_match: str) -> None:
    with pytest.raises(Invalid) as refused:
        version(given, if_match)
    assert [error.path for error in refused.value.errors] == ["If-Match"]


@pytest.mark.parametrize("if_match", ['W/"3"', '"4", "3"', '"4",W/"3"', "*"])
def test_header_may_be_weak_or_name_several_versions(if_match: str) -> None:
    assert version(3, if_match) == 3
    assert expects(version(None, if_match), 3)
    assert expects(version(None, if_match), 5) == (if_match == "*")


def test_header_with_too_many_versions_is_refused() -> None:
    many = ", ".join(f'"{number}"' for number in range(1, 102))
    with pytest.raises(Invalid):
        version(None, many)


@pytest.mark.parametrize("header", ['"3"', 'W/"3"', '"2", W/"3"', "*", '"a,b","3"'])
def test_held_tag_is_unchanged(header: str) -> None:
    assert unchanged('"3"', header)


@pytest.mark.parametrize("header", [None, "", '"2"', "3", '"33"', '"3'])
def test_other_tag_is_not_unchanged(header: str | None) -> None:
    assert not unchanged('"3"', header)
