"""Calls the API of a stage, and says in a sentence what is wrong with an answer."""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from infra.operations.failures import CommandFailed
from infra.operations.progress import escaped

if TYPE_CHECKING:
    from collections.abc import Collection

#: A connection takes no longer; a gateway of AWS ends each call after 29 s.
_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 40
#: An answer of another server may be a page.
_SHOWN_CHARACTERS = 300


class Api:
    """The API at *url*, called with the session *token*."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url.rstrip("/"), token
        self._session = requests.Session()
        # A proxy of the shell cannot reach an address that only this machine has.
        self._session.trust_env = not _on_this_machine(self.url)
        # Without this, requests would replace the token by a password of ~/.netrc.
        self._session.auth = lambda request: request

    def again(self) -> Api:
        """Return another caller with the same session, for a call at the same time."""
        return Api(self.url, self.token)

    def call(self, method: str, path: str, body: Any = None, *, wanted: Collection[int] = (HTTPStatus.OK,)) -> Any:
        """Return the JSON of the answer, None if the answer has no body.

        Raises:
            CommandFailed: the API does not answer, or answers a status that is not *wanted*, or something that is not
                Holdfast's. The text has the id of the request, by which logs find the call.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = self._session.request(
                method,
                self.url + path,
                json=body,
                headers=headers,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                # A redirect would send the password elsewhere.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise CommandFailed(f"The API at {self.url} does not answer {method} {path}: {_reason(error)}.") from error
        if answer.status_code not in wanted:
            raise CommandFailed(self._refusal(answer, f"{method} {path}"))
        return self._document(answer, f"{method} {path}") if answer.content else None

    def _document(self, answer: requests.Response, called: str) -> Any:
        try:
            found = answer.json()
        except ValueError as error:
            raise CommandFailed(self._foreign(answer, called)) from error
        if not isinstance(found, dict):
            raise CommandFailed(self._foreign(answer, called))
        return found

    def _refusal(self, answer: requests.Response, called: str) -> str:
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            return self._foreign(answer, called)
        named = f" (request {answer.headers['X-Request-Id']})" if "X-Request-Id" in answer.headers else ""
        return escaped(f"The API at {self.url} answers {answer.status_code} to {called}{named}: {detail}")

    def _foreign(self, answer: requests.Response, called: str) -> str:
        begin = answer.text[:_SHOWN_CHARACTERS].strip()
        said = f", which begins with: {begin}" if begin else ", and nothing else"
        return escaped(f"{self.url} answers {called} with {answer.status_code}, and not as Holdfast does{said}")


def _reason(error: requests.RequestException) -> str:
    """Return the plain reason of *error*, without the names of libraries around it."""
    if isinstance(error, requests.Timeout):
        return "no answer came in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted, or it speaks no TLS"
    if isinstance(error, requests.ConnectionError):
        return "no connection was made, or it was closed early"
    return str(error).rstrip(".")


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
