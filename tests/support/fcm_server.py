"""Google's token server (RFC 7523) and FCM's HTTP v1 API, behind a real socket.

The answers follow Firebase's documentation, and requests invalid for Firebase are refused.
"""

import base64
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PROJECT = "holdfast-test"
SENDER = f"pusher@{PROJECT}.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@dataclass(frozen=True)
class FcmAnswer:
    """An answer; *body* is sent as text, or encoded as JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, canonical: str, code: str = "", message: str = "No.", **headers: str) -> FcmAnswer:
    """Return an error in FCM's form, with FCM's error code if given."""
    details = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
    error = {"code": status, "message": message, "status": canonical, "details": details}
    return FcmAnswer(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def violation(field_name: str, *, code: str = "INVALID_ARGUMENT") -> FcmAnswer:
    """Return the refusal of a message for a single field."""
    said = refusal(400, "INVALID_ARGUMENT", code, "Request contains an invalid argument.")
    fields = {"@type": BAD_REQUEST, "fieldViolations": [{"field": field_name, "description": "Invalid"}]}
    said.body["error"]["details"].append(fields)
    return said


UNREGISTERED = refusal(404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found.")
BAD_TOKEN = refusal(
    400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"
)
OTHER_SENDER = refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch")
UNAUTHENTICATED = refusal(401, "UNAUTHENTICATED", message="Request had invalid authentication credentials.")
QUOTA = refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", Retry_After="7")
BUSY = refusal(503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable.")
INTERNAL = refusal(500, "INTERNAL", "INTERNAL", "Internal error encountered.")
#: The answer of Google's proxy in FCM's place.
BAD_GATEWAY = FcmAnswer(502, "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>")
DENIED = refusal(403, "PERMISSION_DENIED", message="Firebase Cloud Messaging API has not been used in this project.")
#: No answer for as long as the test runs.
SILENCE = FcmAnswer(0, None)


class FcmServer:
    """The servers, their received messages, and their planned answers."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.google = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        #: Every message received with a valid access token.
        self.messages: list[dict[str, Any]] = []
        #: Answers to messages for a device token: in turn, then the last for ever.
        self.answers: dict[str, list[FcmAnswer]] = {}
        self.grant_answers: list[FcmAnswer] = []
        self.grants = 0
        self.valid: set[str] = set()

    def __enter__(self) -> "FcmServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def service_account(self, **other: Any) -> str:
        """Return the key file of the service account, in the console's format."""
        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "k1",
            "private_key": private.decode(),
            "client_email": SENDER,
            "token_uri": f"{self.url}/token",
        }
        return json.dumps({**file, **other})

    def tokens(self) -> list[str]:
        """Return the device tokens of all messages, sorted."""
        return sorted(message["token"] for message in self.messages)

    def grant(self, asked: str) -> FcmAnswer:
        self.grants += 1
        if self.grant_answers:
            said = self.grant_answers.pop(0)
            return self._hang() if said is SILENCE else said
        form = parse_qs(asked)
        if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return FcmAnswer(400, {"error": "unsupported_grant_type"})
        if not self._is_ours(form["assertion"][0]):
            return FcmAnswer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        token = f"ya29.{self.grants}"
        self.valid.add(token)
        return FcmAnswer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def send(self, project: str, authorization: str, asked: Any) -> FcmAnswer:
        if authorization.removeprefix("Bearer ") not in self.valid:
            return UNAUTHENTICATED
        if project != PROJECT:
            return DENIED
        message = asked["message"]
        self.messages.append(message)
        texts = len(json.dumps([message.get("notification"), message["data"]], ensure_ascii=False).encode())
        if texts > 4096:
            return refusal(400, "INVALID_ARGUMENT", message="Request contains an invalid argument.")
        planned = self.answers.get(message["token"], [])
        if not planned:
            return FcmAnswer(200, {"name": f"projects/{PROJECT}/messages/{len(self.messages)}"})
        said = planned.pop(0) if len(planned) > 1 else planned[0]
        return self._hang() if said is SILENCE else said

    def _hang(self) -> FcmAnswer:
        self._over.wait(30)
        return SILENCE

    def _is_ours(self, assertion: str) -> bool:
        signed, _, signature = assertion.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        assert (header["alg"], header["typ"]) == ("RS256", "JWT")
        assert claims["iat"] <= time() + 1 < claims["exp"] <= claims["iat"] + 3600
        return bool(claims["iss"] == SENDER and claims["scope"] == SCOPE)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        google: FcmServer = self.server.google  # type: ignore[attr-defined]
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            said = google.grant(asked)
        elif found := re.fullmatch(r"/v1/projects/([^/]+)/messages:send", self.path):
            said = google.send(found[1], self.headers["Authorization"], json.loads(asked))
        else:
            said = FcmAnswer(404, "<title>Error 404 (Not Found)!!1</title>")
        if said is SILENCE:
            self.close_connection = True
            return
        body = (said.body if isinstance(said.body, str) else json.dumps(said.body)).encode()
        self.send_response(said.status)
        for name, value in {"Content-Length": str(len(body)), **said.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
