"""FCM's HTTP v1 API: sending, and what its answers mean (REST reference, ``ErrorCode``).

It is our own setting that names the server, and not a user, so calls go straight to it. They follow no redirect, use no
proxy, are made once each, and nobody waits for them beyond the deadline.
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
_SIDE_BY_SIDE = 8
#: What is left to the invocation when we give up: it has to say so.
_MARGIN_MS = 1_000

#: What Firebase asks of senders that are not told ("Best practices when sending FCM messages at scale").
_PAUSE_SECONDS, _QUOTA_PAUSE_SECONDS = 10, 60
_LONGEST_PAUSE_SECONDS = 3_600
_LONGEST_REASON = 200


class Verdict(StrEnum):
    """What an answer means for a message."""

    SENT = "sent"
    #: The token is no longer valid, or never was ours.
    GONE = "gone"
    #: This message will never be taken.
    REFUSED = "refused"
    #: No message of ours will be taken until someone mends the configuration.
    MISCONFIGURED = "misconfigured"
    #: Worth another try. Whether FCM has taken the message is not known.
    LATER = "later"


class Reply(NamedTuple):
    """A verdict, why, and how long FCM wants to be left alone."""

    verdict: Verdict
    why: str = ""
    pause_seconds: float = 0


class _Failed(Exception):
    """There is no access to FCM; *reply* is what that means for each message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.why)
        self.reply = reply


class Fcm:
    """FCM for one service account. Safe to share among threads."""

    def __init__(self, settings: FcmSettings, service_account: str) -> None:
        """Send for *service_account*, the text of its key file; it is read when the first message is sent."""
        self._settings, self._service_account = settings, service_account
        self._turn = Lock()
        self._credentials: Any = None
        self._http = urllib3.PoolManager(
            maxsize=_SIDE_BY_SIDE,
            retries=False,
            timeout=urllib3.Timeout(settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000),
        )

    def send(self, messages: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """Send each message once, side by side, and return the replies in their order. Never raises.

        Returns at the deadline at the latest; a call that is still on its way then is left to end by itself.
        """
        left_ms = deadline.clamp_ms(self._settings.total_timeout_ms, margin_ms=_MARGIN_MS)
        ends = monotonic() + left_ms / 1000
        threads = ThreadPoolExecutor(_SIDE_BY_SIDE, "fcm")
        try:
            granted = threads.submit(self._granted)
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
            return _unanswered(error)
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._forget(token)
        return read(response.status, response.headers, response.data)

    def _granted(self) -> tuple[str, str]:
        """Return the project and an access token: the one we have, or one that is good for an hour.

        Raises:
            _Failed: there is none to be had.
        """
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 # a tenth of a second, for those who push

        with self._turn:
            if self._credentials is None:
                self._credentials = _credentials(self._service_account)
            try:
                if not self._credentials.valid:
                    self._credentials.refresh(self._ask)
            except HTTPError as error:
                raise _Failed(_unanswered(error)) from error
            except (GoogleAuthError, TypeError, ValueError) as error:
                # The two builtins are what it makes of an answer that is not OAuth's.
                raise _Failed(Reply(Verdict.MISCONFIGURED, f"no access token: {error}"[:_LONGEST_REASON])) from error
            return str(self._credentials.project_id), str(self._credentials.token)

    def _ask(self, url: str, method: str, body: bytes, headers: Mapping[str, str], **_: Any) -> Any:
        """Call the token server, as `google.auth.transport.Request` does; its own adapters need further packages."""
        response = self._http.request(method, url, body=body, headers=headers)
        if _is_busy(response.status):
            # google-auth would sleep and ask again, and time is short.
            raise _Failed(_later(response.status, "", response.headers))
        return response

    def _forget(self, token: str) -> None:
        """Have a new access token asked for, as FCM does not take this one."""
        with self._turn:
            if self._credentials.token == token:
                self._credentials.token = None


class _Lenient(BaseModel):
    """What Google sends, as far as we read it."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Violation(_Lenient):
    field: str = ""


class _Detail(_Lenient):
    """One of ``FcmError``, with a code, and ``BadRequest``, with fields; or another, with neither."""

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
        """FCM's own code, more exact than the status."""
        return next((detail.error_code for detail in self.error.details if detail.error_code), "")

    @property
    def blames_token(self) -> bool:
        """Whether the device will never be reached under this token.

        An invalid argument is the token only if FCM names that field or none: our messages are valid otherwise.
        """
        if self.code in {"UNREGISTERED", "SENDER_ID_MISMATCH"}:
            return True
        fields = {violation.field for detail in self.error.details for violation in detail.field_violations}
        return self.code == "INVALID_ARGUMENT" and fields <= {"message.token"}


def read(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return what FCM's answer means. Any answer means something."""
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


def _unanswered(error: Exception) -> Reply:
    return Reply(Verdict.LATER, f"no answer: {type(error).__name__}", _PAUSE_SECONDS)


def _reply(call: Future[Reply], ends: float) -> Reply:
    try:
        return call.result(_left_seconds(ends))
    except TimeoutError as error:
        return _unanswered(error)


def _left_seconds(ends: float) -> float:
    return max(0.0, ends - monotonic())


def _credentials(service_account: str) -> Any:
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 # for those who push

    try:
        return Credentials.from_service_account_info(json.loads(service_account), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (AttributeError, TypeError, ValueError):
        # Not chained: what is said about a key may show it.
        why = "the service account is not the text of a key file (JSON, with a private key)"
        raise _Failed(Reply(Verdict.MISCONFIGURED, why)) from None
