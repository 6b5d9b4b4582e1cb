"""FCM's HTTP v1 API: sends messages, and interprets the answers (REST reference, ``ErrorCode``).

The server's address is an operator's setting, not a user's choice, so calls need no egress check. Calls follow no
redirect, use no proxy and are made once each. No caller waits beyond the deadline.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

import urllib3
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from urllib3.exceptions import HTTPError

from chalicelib.core import egress
from chalicelib.core.runtime import deadline
from chalicelib.devices.settings import FcmSettings

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_CONCURRENT_CALLS = 8
#: Part of the invocation's time reserved for reporting when a call is given up.
_MARGIN_MS = 1_000

#: Pauses without a Retry-After header, as Firebase asks ("Best practices when sending FCM messages at scale").
_PAUSE_SECONDS, _QUOTA_PAUSE_SECONDS = 10, 60
#: SQS holds a message back for less than 12 hours, and the pause is spread over a quarter more.
_LONGEST_PAUSE_SECONDS = 6 * 3_600
_LONGEST_REASON = 200


class Verdict(StrEnum):
    """The meaning of FCM's answer to a message."""

    SENT = "sent"
    #: The token is no longer valid, or belongs to another sender.
    GONE = "gone"
    #: FCM will never take the message.
    REFUSED = "refused"
    #: FCM will take no message until an operator repairs the configuration.
    MISCONFIGURED = "misconfigured"
    #: Worth a retry. FCM may or may not have taken the message.
    LATER = "later"


class Reply(NamedTuple):
    """A verdict, the reason, and the pause in seconds before a retry."""

    verdict: Verdict
    why: str = ""
    pause_seconds: float = 0


class _Failed(Exception):
    """No access to FCM; *reply* is the reply for each message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.why)
        self.reply = reply


class Fcm:
    """A client of FCM for one service account. Safe to share among threads."""

    def __init__(self, settings: FcmSettings, service_account: str) -> None:
        """Send for *service_account*, the text of a key file, parsed when the first message is sent."""
        self._settings, self._service_account = settings, service_account
        self._turn = Lock()
        self._credentials: Any = None
        self._http = urllib3.PoolManager(
            maxsize=_CONCURRENT_CALLS,
            retries=False,
            timeout=urllib3.Timeout(settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000),
        )

    def send(self, messages: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """Send each message once, concurrently, and return the replies in the order of *messages*. Never raises.

        Returns at the deadline at the latest. A call still in progress at the deadline is left to finish by itself.
        """
        left_ms = deadline.clamp_ms(self._settings.total_timeout_ms, margin_ms=_MARGIN_MS)
        ends = monotonic() + left_ms / 1000
        threads = ThreadPoolExecutor(_CONCURRENT_CALLS, "fcm")
        try:
            granted = threads.submit(self._access)
            calls = [threads.submit(self._post, message, granted, ends) for message in messages]
            return [_reply(call, ends) for call in calls]
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _post(self, message: Mapping[str, Any], granted: Future[tuple[str, str]], ends: float) -> Reply:
        try:
            project, token = granted.result(_left_seconds(ends))
            response = self._http.request(
                "POST",
                f"{self._settings.base_url}/v1/projects/{project}/messages:send",
                body=json.dumps({"message": message}).encode(),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"},
            )
        except _Failed as failed:
            return failed.reply
        except HTTPError as error:
            return _no_answer(error)
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._drop_token(token)
        return read(response.status, response.headers, response.data)

    def _access(self) -> tuple[str, str]:
        """Return the project and an access token: the cached token while valid, else a new token, valid for an hour.

        Raises:
            _Failed: no token could be obtained.
        """
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 # slow (0.1 s), and only pushes need it

        with self._turn:
            if self._credentials is None:
                self._credentials = _credentials(self._service_account)
            try:
                if not self._credentials.valid:
                    self._credentials.refresh(self._call_token_server)
            except HTTPError as error:
                raise _Failed(_no_answer(error)) from error
            except (GoogleAuthError, TypeError, ValueError) as error:
                # google-auth raises the two builtins for an answer that is not OAuth.
                raise _Failed(Reply(Verdict.MISCONFIGURED, f"no access token: {error}"[:_LONGEST_REASON])) from error
            return str(self._credentials.project_id), str(self._credentials.token)

    def _call_token_server(self, url: str, method: str, body: bytes, headers: Mapping[str, str], **_: Any) -> Any:
        """Call the token server with the interface of `google.auth.transport.Request`.

        The adapters of google-auth need further packages.

        Raises:
            _Failed: the server is busy.
        """
        response = self._http.request(method, url, body=body, headers=headers)
        if _is_busy(response.status):
            # google-auth would sleep and retry, and time is short.
            raise _Failed(_later(response.status, "", response.headers))
        return response

    def _drop_token(self, token: str) -> None:
        """Drop *token*, refused by FCM, so the next call asks for a new access token."""
        with self._turn:
            if self._credentials.token == token:
                self._credentials.token = None


class _Lenient(BaseModel):
    """An answer of Google; unread fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Violation(_Lenient):
    field: str = ""


class _Detail(_Lenient):
    """A detail of an error: ``FcmError`` has a code, ``BadRequest`` has fields, other details have neither."""

    error_code: str = ""
    field_violations: list[_Violation] = Field(default_factory=list)


class _Error(_Lenient):
    status: str = ""
    message: str = ""
    details: list[_Detail] = Field(default_factory=list)


class _Fault(_Lenient):
    error: _Error = _Error()

    @property
    def code(self) -> str:
        """FCM's error code, more exact than the status; empty without a code."""
        return next((detail.error_code for detail in self.error.details if detail.error_code), "")

    @property
    def blames_token(self) -> bool:
        """Return whether the token will never reach the device.

        An invalid argument blames the token only if FCM names the token field or no field: the rest of our messages is
        valid.
        """
        if self.code in {"UNREGISTERED", "SENDER_ID_MISMATCH"}:
            return True
        fields = {violation.field for detail in self.error.details for violation in detail.field_violations}
        return self.code == "INVALID_ARGUMENT" and fields <= {"message.token"}


def read(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return the verdict on FCM's answer. Never raises: every answer has a verdict."""
    if status == HTTPStatus.OK:
        return Reply(Verdict.SENT)
    try:
        fault = _Fault.model_validate_json(body)
    except ValidationError:
        fault = _Fault()
    why = f"{status} {fault.code or fault.error.status} {fault.error.message}".strip()[:_LONGEST_REASON]
    if _is_busy(status):
        return _later(status, why, headers)
    if fault.blames_token:
        return Reply(Verdict.GONE, why)
    return Reply(Verdict.REFUSED if status == HTTPStatus.BAD_REQUEST else Verdict.MISCONFIGURED, why)


def _is_busy(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _later(status: int, why: str, headers: Mapping[str, str]) -> Reply:
    default = _QUOTA_PAUSE_SECONDS if status == HTTPStatus.TOO_MANY_REQUESTS else _PAUSE_SECONDS
    asked = headers.get("Retry-After")
    pause = egress.retry_after_seconds(asked, default, shortest=1, longest=_LONGEST_PAUSE_SECONDS)
    return Reply(Verdict.LATER, why or str(status), pause)


def _no_answer(error: Exception) -> Reply:
    return Reply(Verdict.LATER, f"no answer: {type(error).__name__}", _PAUSE_SECONDS)


def _reply(call: Future[Reply], ends: float) -> Reply:
    try:
        return call.result(_left_seconds(ends))
    except TimeoutError as error:
        return _no_answer(error)


def _left_seconds(ends: float) -> float:
    return max(0.0, ends - monotonic())


def _credentials(service_account: str) -> Any:
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 # only pushes need the import

    try:
        return Credentials.from_service_account_info(json.loads(service_account), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (AttributeError, TypeError, ValueError):
        # Not chained: an error message about a key may contain the key.
        why = "the service account is not the text of a key file (JSON, with a private key)"
        raise _Failed(Reply(Verdict.MISCONFIGURED, why)) from None
