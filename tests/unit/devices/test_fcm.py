import json
from collections.abc import Callable
from time import monotonic, time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.runtime import deadline
from chalicelib.devices.fcm import Fcm, Reply, Verdict, read
from chalicelib.devices.message import build
from chalicelib.devices.settings import FcmSettings
from tests.support.fcm_server import (
    BAD_GATEWAY,
    BAD_TOKEN,
    BUSY,
    DENIED,
    INTERNAL,
    OTHER_SENDER,
    QUOTA,
    SILENCE,
    UNAUTHENTICATED,
    UNREGISTERED,
    FcmAnswer,
    FcmServer,
    refusal,
    violation,
)
from tests.support.gateway import Context
from tests.unit.devices.build import a_notification

MakeFcm = Callable[..., Fcm]


@pytest.fixture
def make(google: FcmServer) -> MakeFcm:
    def make(service_account: str = "", **options: Any) -> Fcm:
        return Fcm(FcmSettings(**{"base_url": google.url, **options}), service_account or google.service_account())

    return make


def a_message(token: str = "token-1", **fields: Any) -> dict[str, Any]:
    return build(a_notification(**fields), token, time())


def verdicts(replies: list[Reply]) -> list[Verdict]:
    return [reply.verdict for reply in replies]


# --- sending


def test_a_message_is_sent_unchanged(make: MakeFcm, google: FcmServer) -> None:
    message = a_message(title="Zahlen? “5 €”")
    assert make().send([message]) == [Reply(Verdict.SENT)]
    assert google.messages == [message]


def test_each_message_has_its_reply_in_order(make: MakeFcm, google: FcmServer) -> None:
    # Given
    google.answers = {"gone": [UNREGISTERED], "busy": [BUSY], "bad": [violation("message.android.ttl")]}
    named = ["a", "gone", "b", "busy", "bad", *(f"more-{number}" for number in range(15))]
    # When
    replies = make().send([a_message(token) for token in named])
    # Then
    assert verdicts(replies) == [
        Verdict.SENT,
        Verdict.GONE,
        Verdict.SENT,
        Verdict.LATER,
        Verdict.REFUSED,
        *[Verdict.SENT] * 15,
    ]
    assert google.tokens() == sorted(named)


def test_an_access_token_is_cached(make: MakeFcm, google: FcmServer) -> None:
    fcm = make()
    for _ in range(3):
        fcm.send([a_message("a"), a_message("b")])
    assert google.grants == 1


def test_a_revoked_access_token_is_replaced_at_the_next_push(make: MakeFcm, google: FcmServer) -> None:
    fcm = make()
    fcm.send([a_message()])
    google.valid.clear()
    assert verdicts(fcm.send([a_message()])) == [Verdict.MISCONFIGURED]
    assert verdicts(fcm.send([a_message()])) == [Verdict.SENT]
    assert google.grants == 2


# --- verdicts


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (UNREGISTERED, Verdict.GONE),
        (BAD_TOKEN, Verdict.GONE),
        (violation("message.token"), Verdict.GONE),
        (OTHER_SENDER, Verdict.GONE),
        (violation("message.data[0].value"), Verdict.REFUSED),
        (violation("message.android.ttl", code=""), Verdict.REFUSED),
        # FCM's refusal of a payload that is too large; the token may be valid.
        (refusal(400, "INVALID_ARGUMENT"), Verdict.REFUSED),
        (QUOTA, Verdict.LATER),
        (INTERNAL, Verdict.LATER),
        (BUSY, Verdict.LATER),
        (BAD_GATEWAY, Verdict.LATER),
        (UNAUTHENTICATED, Verdict.MISCONFIGURED),
        (refusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), Verdict.MISCONFIGURED),
        (DENIED, Verdict.MISCONFIGURED),
        # A project that does not exist, then an address outside FCM.
        (refusal(404, "NOT_FOUND"), Verdict.MISCONFIGURED),
        (FcmAnswer(404, "<title>Error 404 (Not Found)!!1</title>"), Verdict.MISCONFIGURED),
        (FcmAnswer(302, "", {"Location": "http://127.0.0.1:1/"}), Verdict.MISCONFIGURED),
        (FcmAnswer(503, {"error": {"details": [{"errorCode": "UNREGISTERED"}]}}), Verdict.LATER),
    ],
)
def test_each_answer_of_fcm_has_its_documented_verdict(
    make: MakeFcm, google: FcmServer, said: FcmAnswer, verdict: Verdict
) -> None:
    google.answers["token-1"] = [said]
    assert verdicts(make().send([a_message()])) == [verdict]
    assert len(google.messages) == 1


def test_a_reason_has_fcms_code_and_never_the_token(make: MakeFcm, google: FcmServer) -> None:
    google.answers["token-1"] = [violation("message.data[0].value")]
    (reply,) = make().send([a_message()])
    assert reply.why == "400 INVALID_ARGUMENT Request contains an invalid argument."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "details", "errorCode", "status", "fieldViolations", "x"]), inner)
    ),
)


@given(st.integers(100, 599), st.binary(max_size=99) | JSON.map(lambda value: json.dumps(value).encode()))
def test_an_arbitrary_answer_never_gives_the_verdict_gone(status: int, body: bytes) -> None:
    reply = read(status, {}, body)
    assert (reply.verdict is Verdict.SENT) == (status == 200)
    assert (reply.verdict is Verdict.LATER) == (status == 429 or status >= 500)
    assert reply.verdict is not Verdict.GONE
    assert len(reply.why) <= 200


# --- pauses


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (QUOTA, 7),
        (refusal(429, "RESOURCE_EXHAUSTED"), 60),
        (BUSY, 10),
        (INTERNAL, 10),
        (refusal(503, "UNAVAILABLE", Retry_After="30"), 30),
        (refusal(503, "UNAVAILABLE", Retry_After="0"), 1),
        (refusal(503, "UNAVAILABLE", Retry_After="999999"), 6 * 3600),
        (refusal(503, "UNAVAILABLE", Retry_After="soon"), 10),
    ],
)
def test_the_pause_follows_retry_after_within_limits(
    make: MakeFcm, google: FcmServer, said: FcmAnswer, seconds: float
) -> None:
    google.answers["token-1"] = [said]
    (reply,) = make().send([a_message()])
    assert (reply.verdict, reply.pause_seconds) == (Verdict.LATER, seconds)


# --- no answer


def test_a_silent_fcm_gives_later_after_the_read_timeout(make: MakeFcm, google: FcmServer) -> None:
    google.answers["token-1"] = [SILENCE]
    began = monotonic()
    replies = make(read_timeout_ms=200).send([a_message(), a_message("other")])
    assert verdicts(replies) == [Verdict.LATER, Verdict.SENT]
    assert monotonic() - began < 5


def test_a_push_ends_at_its_total_timeout(make: MakeFcm, google: FcmServer) -> None:
    google.answers["token-1"] = [SILENCE]
    began = monotonic()
    replies = make(read_timeout_ms=4_000, total_timeout_ms=1_000).send([a_message("other"), a_message()])
    assert verdicts(replies) == [Verdict.SENT, Verdict.LATER]
    assert monotonic() - began < 3


def test_a_push_ends_before_its_invocation(make: MakeFcm, google: FcmServer) -> None:
    google.answers["token-1"] = [SILENCE]
    began = monotonic()
    with deadline.bind(Context(remaining_ms=1_500)):
        replies = make(read_timeout_ms=4_000).send([a_message()])
    assert verdicts(replies) == [Verdict.LATER]
    assert monotonic() - began < 1.5


def test_a_push_without_time_gives_later(make: MakeFcm) -> None:
    with deadline.bind(Context(remaining_ms=10)):
        assert verdicts(make().send([a_message()])) == [Verdict.LATER]


def test_an_unreachable_fcm_gives_later(make: MakeFcm) -> None:
    (reply,) = make(base_url="http://127.0.0.1:1").send([a_message()])
    assert (reply.verdict, reply.pause_seconds) == (Verdict.LATER, 10)


# --- access


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (FcmAnswer(503, {"error": "temporarily_unavailable"}), Verdict.LATER),
        (FcmAnswer(429, "", {"Retry-After": "5"}), Verdict.LATER),
        (SILENCE, Verdict.LATER),
        (FcmAnswer(400, {"error": "invalid_grant", "error_description": "account not found"}), Verdict.MISCONFIGURED),
        (FcmAnswer(200, "<title>Sign in to this network</title>"), Verdict.MISCONFIGURED),
        (FcmAnswer(200, {"no": "token"}), Verdict.MISCONFIGURED),
        (FcmAnswer(200, ["what"]), Verdict.MISCONFIGURED),
        (FcmAnswer(302, "", {"Location": "http://127.0.0.1:1/"}), Verdict.MISCONFIGURED),
    ],
)
def test_a_failed_grant_sends_nothing_and_is_retried(
    make: MakeFcm, google: FcmServer, said: FcmAnswer, verdict: Verdict
) -> None:
    # Given
    google.grant_answers = [said]
    fcm = make(read_timeout_ms=1_000)
    # When
    began = monotonic()
    replies = fcm.send([a_message("a"), a_message("b")])
    # Then
    assert verdicts(replies) == [verdict, verdict]
    assert all(reply.why for reply in replies)
    assert (google.messages, google.grants) == ([], 1)
    assert monotonic() - began < 5
    assert verdicts(fcm.send([a_message()])) == [Verdict.SENT]


def test_an_unknown_private_key_gives_misconfigured(make: MakeFcm, google: FcmServer) -> None:
    stranger = FcmServer(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    private_key = json.loads(stranger.service_account())["private_key"]
    stranger._server.server_close()
    (reply,) = make(google.service_account(private_key=private_key)).send([a_message()])
    assert reply.verdict is Verdict.MISCONFIGURED
    assert "Invalid JWT Signature" in reply.why
    assert google.messages == []


@pytest.mark.parametrize("broken", ["", "{", "[]", '"text"', "null", "{}", '{"private_key": "hunter2"}', "hunter2"])
def test_a_malformed_service_account_is_reported_without_content(google: FcmServer, broken: str) -> None:
    (reply,) = Fcm(FcmSettings(base_url=google.url), broken).send([a_message()])
    assert reply.verdict is Verdict.MISCONFIGURED
    assert "service account" in reply.why
    assert "hunter2" not in reply.why


def test_a_broken_private_key_is_reported_without_content(make: MakeFcm, google: FcmServer) -> None:
    broken = google.service_account(private_key="-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    (reply,) = make(broken).send([a_message()])
    assert reply.verdict is Verdict.MISCONFIGURED
    assert "hunter2" not in reply.why
