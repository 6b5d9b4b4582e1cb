"""Signatures follow Standard Webhooks, and verify only for their own message."""

import base64
import hashlib
import hmac
import traceback
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from chalicelib.core.egress.signatures import InvalidSignature, headers, new_secret, sign, verify

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOLERANCE = timedelta(minutes=5)

printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=".")
ids = st.text(printable, min_size=1, max_size=64)
keys = st.binary(min_size=24, max_size=64)
bodies = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.builds(
    lambda zone, microseconds: (NOW + timedelta(microseconds=microseconds)).astimezone(zone),
    zones,
    st.integers(-(10**15), 10**15),
)


def secret_of(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def a_message(body: bytes = b'{"type":"a.b"}', *secrets: str, at: datetime = NOW) -> dict[str, str]:
    return headers(secrets or (SECRET,), "msg_1", at, body)


def refused(secret: str, body: bytes, given_headers: dict[str, str], now: datetime = NOW) -> bool:
    try:
        verify([secret], body, given_headers, now)
    except InvalidSignature:
        return True
    return False


@given(keys, ids, times, bodies)
def test_a_signature_is_the_plain_hmac_of_id_time_and_body(key: bytes, id_: str, at: datetime, body: bytes) -> None:
    second = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    digest = hmac.new(key, f"{id_}.{second}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()

    made = headers([secret_of(key)], id_, at, body)

    assert sign(secret_of(key), id_, at, body) == expected
    assert made == {"webhook-id": id_, "webhook-timestamp": str(second), "webhook-signature": expected}


def test_signature_equals_the_specifications_example() -> None:
    # The vector of the reference libraries' tests.
    sent = datetime.fromtimestamp(1614265330, UTC)
    signed = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", sent, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_reference_library_accepts_our_signature() -> None:
    body = '{"name":"Zoë"}'.encode()
    made = headers([new_secret(), SECRET], "msg_1", datetime.now(UTC), body)
    assert Webhook(SECRET).verify(body, made) == {"name": "Zoë"}


def test_a_time_is_converted_and_not_relabelled() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert sign(SECRET, "msg_1", elsewhere, b"{}") == sign(SECRET, "msg_1", NOW, b"{}")


def test_a_time_without_a_zone_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        sign(SECRET, "msg_1", naive, b"{}")
    with pytest.raises(ValueError, match="zone"):
        headers([SECRET], "msg_1", naive, b"{}")
    with pytest.raises(ValueError, match="zone"):
        verify([SECRET], b"{}", a_message(b"{}"), naive)


@pytest.mark.parametrize("id_", ["", "msg.1", "msg 1", "msg\r\nx: y", "mésg", "m" * 257])
def test_message_id_unfit_for_header_or_scheme_is_refused(id_: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign(SECRET, id_, NOW, b"{}")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_???",
        "whsec_" + "é" * 32,
        SECRET.removeprefix("whsec_"),
        SECRET + "=",
        SECRET + "\n",
        "WHSEC_" + SECRET[6:],
        secret_of(b"k" * 23),
        secret_of(b"k" * 65),
        secret_of(b"k" * 32).rstrip("="),
        # The same bytes, with the two bits set that base64 does not use here.
        "whsec_" + "A" * 42 + "B=",
    ],
)
def test_secret_in_another_spelling_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        sign(secret, "msg_1", NOW, b"{}")
    assert refused(secret, b"{}", a_message(b"{}"))


def test_a_refused_secret_is_not_shown() -> None:
    with pytest.raises(ValueError, match="base64") as error:
        sign(SECRET[:-1], "msg_1", NOW, b"{}")
    assert SECRET[6:12] not in "".join(traceback.format_exception(error.value))


def test_a_body_that_is_not_utf8_is_never_signed() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        sign(SECRET, "msg_1", NOW, b"\xff")
    assert refused(SECRET, b"\xff", a_message())


def test_new_secrets_differ_and_can_be_used() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        verify([secret], b"{}", a_message(b"{}", secret), NOW)


def test_old_and_new_secret_both_verify_during_replacement() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    sent = a_message(b"{}", new, old)
    verify([old], b"{}", sent, NOW)
    verify([new], b"{}", sent, NOW)
    verify([other, old], b"{}", a_message(b"{}", old), NOW)
    assert refused(other, b"{}", sent)


def test_without_a_secret_signing_and_verifying_fail() -> None:
    with pytest.raises(ValueError, match="secret"):
        headers([], "msg_1", NOW, b"{}")
    with pytest.raises(InvalidSignature):
        verify([], b"{}", a_message(b"{}"), NOW)


def test_unusable_secret_does_not_stop_a_usable_secret() -> None:
    verify(["whsec_broken", SECRET], b"{}", a_message(b"{}"), NOW)


def test_signatures_of_other_schemes_are_ignored() -> None:
    sent = a_message(b"{}")
    sent["webhook-signature"] = f"v1a,{'A' * 88} v2,x {sent['webhook-signature']}"
    verify([SECRET], b"{}", sent, NOW)


def test_header_names_are_read_in_any_case() -> None:
    verify([SECRET], b"{}", {name.title(): value for name, value in a_message(b"{}").items()}, NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_an_invalid_signature(missing: str) -> None:
    sent = a_message(b"{}")
    del sent[missing]
    assert refused(SECRET, b"{}", sent)


@pytest.mark.parametrize("sign_", [-1, 1])
def test_timestamp_is_accepted_within_five_minutes_either_way(sign_: int) -> None:
    sent = a_message(b"{}")
    verify([SECRET], b"{}", sent, NOW + sign_ * TOLERANCE)
    assert refused(SECRET, b"{}", sent, NOW + sign_ * (TOLERANCE + timedelta(microseconds=1)))


@pytest.mark.parametrize(
    "seconds",
    ["0{}", "+{}", " {}", "{} ", "{}.0", "{}e0", "-{}", "{}\n", "nan", "inf", "", "9" * 12, "9" * 400, "\uff11\uff12"],
)
def test_timestamp_in_another_spelling_is_refused(seconds: str) -> None:
    sent = a_message(b"{}")
    sent["webhook-timestamp"] = seconds.format(sent["webhook-timestamp"])
    assert refused(SECRET, b"{}", sent)


def test_full_stop_moved_between_signed_parts_is_refused() -> None:
    """The signed text of (msg, 1, "2.x") would be that of ("msg.1", 2, "x")."""
    second = int(NOW.timestamp())
    sent = headers([SECRET], "msg", NOW, f"{second}.{{}}".encode())
    sent["webhook-id"] = f"msg.{second}"
    assert refused(SECRET, b"{}", sent)


@given(keys, ids, times, bodies, st.data())
def test_change_of_id_time_body_or_secret_is_refused(
    key: bytes, id_: str, at: datetime, body: bytes, data: st.DataObject
) -> None:
    sent = headers([secret_of(key)], id_, at, body)
    verify([secret_of(key)], body, sent, at)
    part = data.draw(st.sampled_from(["id", "time", "body", "secret"]))
    if part == "id":
        sent["webhook-id"] = _changed(data, id_)
    elif part == "time":
        sent["webhook-timestamp"] = str(int(sent["webhook-timestamp"]) + data.draw(st.integers(-299, 298).filter(bool)))
    elif part == "body":
        body = _flipped(data, body) if body else b"x"
    else:
        key = _flipped(data, key)
    assert refused(secret_of(key), body, sent, at)


@given(keys, bodies, st.data())
def test_change_of_the_signatures_text_is_refused(key: bytes, body: bytes, data: st.DataObject) -> None:
    sent = headers([secret_of(key)], "msg_1", NOW, body)
    changed = _changed(data, sent["webhook-signature"])
    assume(sent["webhook-signature"] not in changed.split(" "))
    assert refused(secret_of(key), body, sent | {"webhook-signature": changed})


junk = st.one_of(
    st.text(st.characters()),
    st.sampled_from(["v1", "v1,", ",", "v1,abc", "v1,a,b", "garbage", "v1, ", "\ud800", str(int(NOW.timestamp()))]),
)


@given(
    st.binary(),
    st.dictionaries(st.sampled_from(["webhook-id", "Webhook-Timestamp", "webhook-signature"]) | junk, junk),
    st.lists(junk, max_size=3),
)
def test_malformed_input_raises_only_invalid_signature(
    body: bytes, given_headers: dict[str, str], secrets: list[str]
) -> None:
    for sent in (given_headers, a_message(b"{}") | given_headers):
        with pytest.raises(InvalidSignature):
            verify([*secrets, new_secret()], body, sent, NOW)


def _flipped(data: st.DataObject, value: bytes) -> bytes:
    """*value* with one bit changed."""
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    return value[: bit // 8] + bytes([value[bit // 8] ^ 1 << bit % 8]) + value[bit // 8 + 1 :]


def _changed(data: st.DataObject, value: str) -> str:
    """*value* with one character replaced, added or taken away."""
    at = data.draw(st.integers(0, len(value) - 1))
    middle = data.draw(st.sampled_from(["", value[at] * 2]) | st.characters().filter(lambda new: new != value[at]))
    return value[:at] + middle + value[at + 1 :]
