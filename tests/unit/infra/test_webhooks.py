"""`scripts/webhooks`: verdicts on saved deliveries, and the listener without a stack."""

import os
import re
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from chalicelib.core.egress import signatures
from infra.host import ports
from infra.operations.webhooks import __main__ as command
from infra.operations.webhooks.verdict import verdict
from tests.support.program import Program

BODY = '{"type":"application.approved","id":"dlv_1","sequence":17,"data":{"name":"Ené"}}'.encode()
SECRET, OTHER = signatures.new_secret(), signatures.new_secret()
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DELIVERY = "dlv_1"

Verify = Callable[..., tuple[int, str]]


def headers(at: datetime = NOW, secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    return signatures.headers([secret], DELIVERY, at, body)


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run `scripts/webhooks verify` on a saved delivery; return the exit code and the output."""

    def run(saved: dict[str, str], *options: str, secret: str = SECRET, body: bytes = BODY) -> tuple[int, str]:
        (tmp_path / "body").write_bytes(body)
        lines = ["POST /hook HTTP/1.1", *(f"{name.title()}: {value}" for name, value in saved.items()), ""]
        (tmp_path / "headers").write_text("\r\n".join(lines))
        files = ["--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body")]
        code = command.main(["verify", "--secret", secret, *files, *options])
        return code, capsys.readouterr().out

    return run


# Verdicts.


def test_delivery_without_a_secret_gets_no_verdict() -> None:
    assert verdict([], BODY, {}, NOW) == "no secret given"


@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET]])
def test_delivery_signed_by_one_of_the_secrets_is_verified(secrets: list[str]) -> None:
    assert verdict(secrets, BODY, headers(), NOW) == "verified"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": ""}, "the header webhook-id is missing"),
        ({"webhook-id": "", "webhook-signature": ""}, "webhook-id and the header webhook-signature is missing"),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp is no time"),
        ({"webhook-timestamp": "9" * 40}, "webhook-timestamp is no time"),
        ({"webhook-timestamp": "007"}, "no signature fits"),
        ({"webhook-signature": "v1a,AAAA"}, "no signature of the version v1"),
        ({"webhook-id": "dlv_2"}, "no signature fits: the secret is another webhook's, or the id"),
    ],
)
def test_part_of_a_delivery_that_does_not_fit_is_named(change: dict[str, str], reason: str) -> None:
    assert reason in verdict([SECRET], BODY, headers() | change, NOW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BODY + b"\n", "a line end was added"),
        (BODY.replace(b":", b": "), "the JSON was parsed and written anew"),
        (BODY.replace("é".encode(), rb"\u00e9"), "the JSON was parsed and written anew"),
        (BODY.replace(b"17", b"18"), "no signature fits"),
        (b"[" * 100_000, "no signature fits"),
    ],
)
def test_changed_body_is_named_with_the_change_if_known(body: bytes, reason: str) -> None:
    assert reason in verdict([SECRET], body, headers(), NOW)


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (timedelta(hours=3, seconds=1), "signed 3:00:01 (h:mm:ss) ago, and receivers allow five minutes"),
        (-timedelta(days=2), "signed 2 days, 0:00:00 (h:mm:ss) ahead of this machine's clock"),
    ],
)
def test_age_of_a_signature_is_named_and_can_be_ignored(age: timedelta, reason: str) -> None:
    assert reason in verdict([SECRET], BODY, headers(), NOW + age)
    assert verdict([SECRET], BODY, headers(), NOW + age, any_time=True) == "verified"
    assert "no signature fits" in verdict([OTHER], BODY, headers(), NOW + age, any_time=True)


# Saved deliveries.


def test_verify_accepts_a_saved_delivery_of_now(verify: Verify) -> None:
    code, said = verify(headers(datetime.now(UTC)))
    assert (code, said.startswith("verified: dlv_1, signed 20")) == (0, True)


def test_verify_takes_headers_as_options_before_those_of_the_file(verify: Verify) -> None:
    signed = headers()
    options = ["--id", DELIVERY, "--timestamp", signed["webhook-timestamp"]]
    code, said = verify({}, *options, "--signature", signed["webhook-signature"], "--any-time")
    assert (code, said) == (0, "verified: dlv_1, signed 2026-11-26T12:00:00Z\n")
    assert verify(signed, "--id", "dlv_2", "--any-time")[0] == 1


def test_verify_of_a_wrong_secret_ends_with_one(verify: Verify) -> None:
    code, said = verify(headers(datetime.now(UTC)), secret=OTHER)
    assert (code, said.startswith("NOT verified: no signature fits: the secret is another webhook's")) == (1, True)


def test_verify_of_a_missing_file_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="absent: No such file"):
        command.main(["verify", "--secret", SECRET, "--body", str(tmp_path / "absent")])


@pytest.mark.parametrize(
    "secret",
    [SECRET.removeprefix("whsec_"), SECRET[:-9], "whsec_short"],
    ids=["no prefix", "cut off", "too short"],
)
def test_malformed_secret_is_refused_and_not_printed(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["listen", "--secret", secret])
    said = capsys.readouterr().err
    assert "must be whsec_ and 24 to 64 bytes in base64" in said
    assert secret not in said


# The listener.


def listener(*options: str) -> Program:
    line = [sys.executable, "-m", "infra.run", "webhooks", "listen", *options]
    return Program(line, {"PATH": os.environ["PATH"]})


def url_of(program: Program) -> str:
    program.wait_for("Ctrl-C ends")
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", program.output)
    return str(url)


def test_listener_shows_each_call_with_its_verdict_and_answer() -> None:
    with listener("--port", "0", "--secret", SECRET, "--answer", "429", "--retry-after", "7", "--full") as program:
        url = url_of(program)
        for secret in (SECRET, OTHER):
            sent = requests.post(url, data=BODY, headers=headers(datetime.now(UTC), secret), timeout=10)
            assert (sent.status_code, sent.headers["Retry-After"]) == (429, "7")
        requests.post(url, data=rb'{"type":"\u001b[2J"}', timeout=10)
        requests.post(url, data=b"\x1b[2Jno \xff JSON", timeout=10)
        program.wait_for("JSON")
    first, second, third, fourth = (
        line.split("  ")[1:] for line in program.output.splitlines() if "  answered " in line
    )
    answered = "answered 429, Retry-After 7 s"
    assert first == ["application.approved", "dlv_1", "sequence 17", "verified", answered]
    assert second[:4] == ["application.approved", "dlv_1", "sequence 17", "call 2"]
    assert second[4].startswith("NOT verified: no signature fits")
    assert third[:3] == [r"\u001b[2J", "-", "sequence -"]
    assert fourth[:3] == ["-", "-", "sequence -"]
    assert f"\n  {BODY.decode()}\n" in program.output
    assert "\x1b" not in program.output
    assert SECRET not in program.output


def test_listener_goes_on_after_calls_that_are_no_deliveries() -> None:
    with listener("--port", "0") as program:
        url = url_of(program)
        assert requests.post(url, data=iter([b"chunked"]), timeout=10).status_code == 411
        assert requests.post(url, headers={"Content-Length": "9" * 30}, timeout=10).status_code == 413
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as broken:
            broken.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")
        assert requests.post(url, data=BODY, timeout=10).status_code == 204
        program.wait_for("answered 204")
    assert program.output.count("  answered ") == 1
    assert "no secret given" in program.output
    assert "Traceback" not in program.output


def test_taken_port_ends_the_listener_with_advice() -> None:
    with ports.bound(0) as taken:
        taken.listen()
        with pytest.raises(SystemExit, match=r"is taken by .* Choose another port with --port, or .* --port 0\."):
            command.main(["listen", "--port", str(taken.getsockname()[1])])


def test_making_a_webhook_without_a_stack_names_scripts_up(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"No stack runs on .* Start a stack with scripts/up"):
        command.main(["listen", "--port", "0", "--make", "--data", str(tmp_path)])
