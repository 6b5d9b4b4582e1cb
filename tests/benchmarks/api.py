"""A client of the deployed API for measurements."""

from functools import partial
from typing import Any

import requests

from infra.local.stack import Stack
from tests.support.client import Client, patiently


class Api:
    """A signed-in caller at the gateway, past the proxy."""

    def __init__(self, stack: Stack, token: str) -> None:
        self._base, self._headers = stack.api_url, {"Authorization": f"Bearer {token}"}
        self._session = requests.Session()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of a call. Raises `requests.HTTPError` if the call fails."""
        answer = self._session.request(method, self._base + path, json=body, headers=self._headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def prepare(self, method: str, path: str, body: Any) -> Any:
        """Return the JSON of a call that is not measured, made again after a 503 of a busy machine."""
        ask = partial(self._session.request, method, self._base + path, json=body, headers=self._headers, timeout=60)
        answer = patiently(ask)
        answer.raise_for_status()
        return answer.json()


def sign_in(stack: Stack) -> str:
    """Return the token of the first administrator's new session."""
    token = Client(stack.url).signed_in("admin", stack.admin_password or "").token
    assert token
    return token


def an_application(**fields: Any) -> dict[str, Any]:
    """Return the body of a new application."""
    return {
        "applicantName": "Ada Lovelace",
        "email": "ada@example.org",
        "amountMinor": 1_000_000,
        "currency": "EUR",
        "termMonths": 24,
        **fields,
    }
