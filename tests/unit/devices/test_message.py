import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.devices.message import LARGEST_BYTES, build, fitted
from tests.unit.devices.build import REQUEST_ID, a_notification

NOW = 1_800_000_000.9
WEEK_MS = 7 * 24 * 3_600_000


def size(*values: Any) -> int:
    return sum(len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) for value in values)


def test_a_message_has_the_fields_of_each_platform() -> None:
    assert build(a_notification(), "token-1", NOW) == {
        "token": "token-1",
        "notification": {"title": "Pay?", "body": "5 EUR to Bob"},
        "data": {"requestId": REQUEST_ID},
        "android": {
            "priority": "HIGH",
            "ttl": "90s",
            "collapse_key": REQUEST_ID,
            "notification": {"tag": REQUEST_ID},
        },
        "apns": {
            "headers": {"apns-priority": "10", "apns-expiration": "1800000090", "apns-collapse-id": REQUEST_ID},
            "payload": {"aps": {"sound": "default"}},
        },
        "webpush": {
            "headers": {"Urgency": "high", "TTL": "90", "Topic": REQUEST_ID},
            "notification": {"tag": REQUEST_ID},
        },
    }


@pytest.mark.parametrize(
    ("ttl_ms", "seconds"),
    [(1, 0), (999, 0), (1_000, 1), (24_999, 24), (WEEK_MS, 7 * 86_400), (5 * WEEK_MS, 28 * 86_400)],
)
def test_the_time_to_live_is_set_for_each_platform(ttl_ms: int, seconds: int) -> None:
    message = build(a_notification(ttl_ms=ttl_ms), "token-1", NOW)
    assert message["android"]["ttl"] == f"{seconds}s"
    assert message["apns"]["headers"]["apns-expiration"] == str(1_800_000_000 + seconds)
    assert message["webpush"]["headers"]["TTL"] == str(seconds)


TEXTS = st.text(max_size=3_000) | st.text(alphabet='aé€😀"\\\n', min_size=400, max_size=9_000)


@given(TEXTS, TEXTS, st.dictionaries(st.text(max_size=40), TEXTS, max_size=5))
def test_a_fitted_message_is_within_the_limit_and_cut_at_the_end(
    title: str, body: str, data: Mapping[str, str]
) -> None:
    data = {f"x-{name}": value for name, value in data.items()}
    notification = a_notification(title=title or "t", body=body, data=data)
    shown, kept = fitted(notification)
    assert size(shown["title"], shown["body"], kept) <= LARGEST_BYTES
    assert kept.items() <= data.items()
    for given_text, text in ((notification.title, shown["title"]), (body, shown["body"])):
        assert text == given_text or (text.endswith("…") and given_text.startswith(text[:-1]))


@given(st.text(min_size=1, max_size=60), st.text(max_size=300))
def test_a_message_within_the_limit_is_unchanged(title: str, body: str) -> None:
    assert fitted(a_notification(title=title, body=body)) == (
        {"title": title, "body": body},
        {"requestId": REQUEST_ID},
    )


def test_a_cut_text_fills_the_limit_exactly() -> None:
    shown, data = fitted(a_notification(body="x" * 10_000))
    assert size(shown["title"], shown["body"], data) == LARGEST_BYTES


def test_the_longest_data_values_are_dropped_first() -> None:
    data = {"requestId": REQUEST_ID, "essay": "x" * 1_990, "letter": "y" * 900, "kind": "payment"}
    assert fitted(a_notification(data=data))[1] == {"requestId": REQUEST_ID, "letter": "y" * 900, "kind": "payment"}


FIELDS = st.dictionaries(
    st.text(max_size=20), TEXTS | st.integers() | st.lists(st.booleans(), max_size=900), max_size=6
)


@given(FIELDS, st.lists(st.dictionaries(st.sampled_from(["by", "action"]), st.text(max_size=300)), max_size=12))
def test_parts_that_fit_arrive_as_json_and_the_ids_stay(sent: dict[str, Any], answers: list[Any]) -> None:
    shown, data = fitted(a_notification(body="x" * 9_000, parts={"data": sent, "answers": answers}))
    assert size(shown["title"], shown["body"], data) <= LARGEST_BYTES
    assert size(data) <= 2_000
    assert data["requestId"] == REQUEST_ID
    kept = json.loads(data.get("data", "{}"))
    assert kept.items() <= sent.items()
    left_out = [size({name: value}) for name, value in sent.items() if name not in kept]
    assert not left_out or min(left_out) >= max((size({name: value}) for name, value in kept.items()), default=0) / 2
    few = json.loads(data.get("answers", "[]"))
    assert few == answers[: len(few)]


def test_the_largest_field_is_left_out_where_all_do_not_fit() -> None:
    sent = {"account": "4711", "essay": "x" * 1_990, "lines": [{"amount": 5}], "letter": 'y"' * 300}
    data = fitted(a_notification(parts={"data": sent}))[1]
    assert json.loads(data["data"]) == {name: sent[name] for name in ("account", "lines", "letter")}


def test_ten_thousand_fields_are_fitted_quickly_and_exactly() -> None:
    sent: dict[str, Any] = {f"field-{number:05}": number for number in range(10_000)}
    data = fitted(a_notification(parts={"data": sent}))[1]
    assert 1_900 < size(data) <= 2_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "", "body": ""},
        {"collapse_key": ""},
        {"collapse_key": "x" * 33},
        {"collapse_key": "a b"},
        {"collapse_key": "a\n"},
        {"data": {"from": "us"}},
        {"data": {"message_type": "x"}},
        {"data": {"gcm": "x"}},
        {"data": {"google.sent_time": "x"}},
        {"parts": {"from": {}}},
        {"data": {"gcm.notification.title": "x"}},
    ],
    ids=str,
)
def test_a_notification_that_fcm_would_refuse_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"words|collapse key|for itself"):
        a_notification(**wrong)


def test_a_title_or_a_body_alone_is_enough() -> None:
    assert fitted(a_notification(title=""))[0] == {"title": "", "body": "5 EUR to Bob"}
    assert fitted(a_notification(body=""))[0] == {"title": "Pay?", "body": ""}
