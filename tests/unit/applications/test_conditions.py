"""If-Match and If-None-Match on an application, as caches and proxies pass them on."""

import pytest

from tests.support.gateway import ask
from tests.unit.applications.build import PATH, at, make


@pytest.mark.parametrize("header", ['W/"1"', '"7", "1"', '"7",W/"1"', "*"])
def test_a_change_takes_weak_tags_lists_and_any(officer: str, header: str) -> None:
    made = make(officer)
    answer = ask("PUT", at(made), {"termMonths": 12}, token=officer, headers={"If-Match": header})
    assert (answer.status, answer.json["version"]) == (200, 2)


def test_a_list_without_the_current_version_is_409(officer: str, admin: str) -> None:
    made = make(officer)
    headers = {"If-Match": '"2", W/"3"'}
    stale = ask("PUT", at(made), {"termMonths": 12}, token=officer, headers=headers)
    assert (stale.status, stale.json["currentVersion"]) == (409, 1)
    assert ask("DELETE", at(made), token=admin, headers=headers).status == 409
    assert ask("DELETE", at(made), token=admin, headers={"If-Match": '"2", W/"1"'}).status == 204


def test_any_version_needs_an_application(officer: str) -> None:
    missing = ask("PUT", f"{PATH}/none", {"termMonths": 12}, token=officer, headers={"If-Match": "*"})
    assert missing.status == 404


def test_a_read_of_the_held_version_is_304(officer: str) -> None:
    made = make(officer)
    for header in ('"1"', 'W/"1"', '"7", "1"', "*"):
        held = ask("GET", at(made), token=officer, headers={"If-None-Match": header})
        assert (held.status, held.text, held.headers["ETag"]) == (304, "", '"1"')
        assert "Content-Type" not in held.headers
    for header in ('"2"', "1", ""):
        assert ask("GET", at(made), token=officer, headers={"If-None-Match": header}).json == made


def test_a_list_has_no_tag_and_is_never_304(officer: str) -> None:
    make(officer)
    assert ask("GET", PATH, token=officer, headers={"If-None-Match": "*"}).status == 200
