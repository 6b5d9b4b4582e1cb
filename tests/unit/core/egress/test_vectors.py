"""Signatures equal the published vectors of Standard Webhooks (the tests of its libraries), and rotation works."""

from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib.core.egress.signatures import InvalidSignature, headers, new_secret, sign, verify


class Vector(NamedTuple):
    """A published signature, with everything that was signed."""

    secret: str
    message_id: str
    seconds: int
    body: bytes
    signature: str

    @property
    def sent(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    @property
    def headers(self) -> dict[str, str]:
        return {
            "webhook-id": self.message_id,
            "webhook-timestamp": str(self.seconds),
            "webhook-signature": self.signature,
        }


#: Of the repository standard-webhooks/standard-webhooks: `libraries/python/tests/test_webhooks.py` (the same vector as
#: in the libraries for JavaScript, Go, Ruby, PHP, Java, C#), and `libraries/rust/src/lib.rs`.
VECTORS = [
    Vector(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    Vector(
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
#: Signatures of the libraries' tests that match no vector; the last has one letter changed.
INVALID = [
    "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
    "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
    "v1,dawfeoifkpqwoekfpqoekf",
    "v1,",
    "v1,g0hM9",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=",
]

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector.message_id))


@vectors
def test_signature_equals_the_published_vector(vector: Vector) -> None:
    assert sign(vector.secret, vector.message_id, vector.sent, vector.body) == vector.signature
    assert headers([vector.secret], vector.message_id, vector.sent, vector.body) == vector.headers


@vectors
def test_published_vector_verifies(vector: Vector) -> None:
    verify([vector.secret], vector.body, vector.headers, vector.sent)


@vectors
@pytest.mark.parametrize("signature", INVALID)
def test_published_invalid_signature_is_refused(vector: Vector, signature: str) -> None:
    with pytest.raises(InvalidSignature):
        verify([vector.secret], vector.body, vector.headers | {"webhook-signature": signature}, vector.sent)


@vectors
def test_valid_signature_among_invalid_ones_verifies(vector: Vector) -> None:
    for place in range(len(INVALID) + 1):
        many = " ".join([*INVALID[:place], vector.signature, *INVALID[place:]])
        verify([vector.secret], vector.body, vector.headers | {"webhook-signature": many}, vector.sent)
    with pytest.raises(InvalidSignature):
        verify([vector.secret], vector.body, vector.headers | {"webhook-signature": " ".join(INVALID)}, vector.sent)


def test_header_of_a_rotation_verifies_with_either_secret() -> None:
    old, new, other = VECTORS[0].secret, VECTORS[1].secret, new_secret()
    now, body = datetime.now(UTC), b'{"type":"a.b"}'
    sent = headers([new, old], "msg_1", now, body)

    assert sent["webhook-signature"] == " ".join(sign(secret, "msg_1", now, body) for secret in (new, old))
    for secret in (old, new):
        verify([secret], body, sent, now)
        assert Webhook(secret).verify(body, sent) == {"type": "a.b"}
    with pytest.raises(InvalidSignature):
        verify([other], body, sent, now)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, sent)


def test_either_signature_of_a_rotation_verifies_alone() -> None:
    old, new = VECTORS[0].secret, VECTORS[1].secret
    now = datetime.now(UTC)
    sent = headers([new, old], "msg_1", now, b"{}")
    for secret, signature in zip((new, old), sent["webhook-signature"].split(" "), strict=True):
        verify([secret], b"{}", sent | {"webhook-signature": signature}, now)


@pytest.mark.parametrize("separator", ["", ",", "\t", "\n"])
def test_signatures_are_separated_by_a_space_alone(separator: str) -> None:
    vector = VECTORS[0]
    joined = separator.join([vector.signature, vector.signature])
    with pytest.raises(InvalidSignature):
        verify([vector.secret], vector.body, vector.headers | {"webhook-signature": joined}, vector.sent)
