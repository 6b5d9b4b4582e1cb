import re

import pytest

from chalicelib.console.settings import ReceiverSettings
from chalicelib.core.runtime.settings import BadSettings, load
from tests.support.gateway import Answer, ask
from tests.unit.conftest import Printed


def test_console_without_a_slash_redirects_to_the_folder() -> None:
    answer = ask("GET", "/console")
    assert (answer.status, answer.headers["Location"], answer.text) == (308, "console/", "")


def test_console_is_a_page_under_a_strict_policy(printed: Printed) -> None:
    answer = _folder()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-cache"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert printed.lines()[0]["storeRoundTrips"] == 0


def test_page_has_no_inline_script_or_style() -> None:
    page = _folder().text
    assert not re.search(r"<script>|<style|style=|\son\w+=", page)


def test_every_file_of_the_page_is_served_for_ever() -> None:
    names = re.findall(r'(?:href|src)="([^"]+)"', _folder().text)
    assert len(names) == 4
    for name in names:
        answer = ask("GET", f"/console/{name}")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.headers["Content-Type"].startswith(("text/javascript", "text/css", "image/svg+xml"))


@pytest.mark.parametrize("name", ["app-000000000000.js", "main.js", "app-0123456789ab.js.map", "api.py"])
def test_file_that_is_not_of_the_page_is_404(name: str) -> None:
    assert ask("GET", f"/console/{name}").status == 404


def test_config_names_the_deployment_and_the_files(options: object) -> None:
    options(HOLDFAST_STAGE="dev", HOLDFAST_VERSION="1.2.3")  # type: ignore[operator]
    answer = ask("GET", "/console/config.json")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    known = {"stage": "dev", "version": "1.2.3", "receiver": None, "socketUrl": None}
    assert answer.json == {**known, "console": answer.json["console"]}
    assert re.fullmatch("[0-9a-f]{12}", answer.json["console"])


def test_receiver_of_a_laptop_is_named_and_admitted_by_the_policy(options: object) -> None:
    assert "connect-src 'self';" in _folder().headers["Content-Security-Policy"]
    options(RECEIVER_URL="http://127.0.0.1:8001")  # type: ignore[operator]
    assert ask("GET", "/console/config.json").json["receiver"] == "http://127.0.0.1:8001"
    assert "connect-src 'self' http://127.0.0.1:8001;" in _folder().headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://127.0.0.1:1;script-src *", "http://localhost:8001/", "http://10.0.0.1:80"]
)
def test_receiver_beyond_this_machine_is_a_bad_setting(options: object, url: str) -> None:
    options(RECEIVER_URL=url)  # type: ignore[operator]
    with pytest.raises(BadSettings, match="RECEIVER_URL"):
        load(ReceiverSettings)


def test_other_paths_with_a_slash_at_the_end_stay_unknown() -> None:
    assert ask("GET", "/console/config.json/").status == 404
    assert ask("GET", "/health/").status == 404


def _folder() -> Answer:
    return ask("GET", "/console/")
