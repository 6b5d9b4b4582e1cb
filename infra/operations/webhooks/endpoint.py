"""A webhook at the running stack for the length of a command, made through the API as any administrator makes one."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from infra.operations import running_stack
from infra.operations.account import VARIABLE
from infra.operations.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.operations.account import Account
    from infra.operations.running_stack import Run

#: Longer than the API holds any call of these.
_CALL_SECONDS = 30
_PATH = "/api/webhooks"
#: A developer who changes many records at once sees all of them at once.
_NEW = {"events": ["*"], "description": "made by scripts/webhooks listen", "rateLimitPerMinute": 6000}


class Made(NamedTuple):
    """A webhook, with the secret that signs its deliveries."""

    id: str
    secret: str


def running(folder: Path) -> Run:
    """Return the stack that runs on the data folder *folder*.

    Raises:
        CommandFailed: no stack runs there.
    """
    run = running_stack.read(folder)
    if run is None or not run.url:
        raise CommandFailed(
            f"No stack runs on {folder}. Start a stack with scripts/up, or name the data folder of a running stack by "
            "--data. Without --make, the command needs no stack."
        )
    return run


@contextmanager
def webhook(owner: Account, address: str) -> Iterator[Made]:
    """Make a webhook that sends all events to *address*, and delete the webhook at the end of the block.

    A session is open only while the webhook is made, and again while the webhook is deleted.

    Raises:
        CommandFailed: the stack refuses or does not answer. A text about a webhook that remains names its id.
    """
    with _session(owner) as token:
        document = _call(owner.url, "POST", _PATH, token, _NEW | {"url": address})
    made = Made(document["webhookId"], document["secret"])
    try:
        yield made
    finally:
        _delete(owner, made)


def _delete(owner: Account, made: Made) -> None:
    try:
        with _session(owner) as token:
            _call(owner.url, "DELETE", f"{_PATH}/{made.id}", token)
    except (CommandFailed, KeyboardInterrupt) as error:
        reason = str(error) or "The deletion was interrupted."
        raise CommandFailed(
            f"{reason} The webhook {made.id} remains: delete it with DELETE {_PATH}/{made.id}."
        ) from error
    print(f"\nThe webhook {made.id} is deleted.", flush=True)


@contextmanager
def _session(owner: Account) -> Iterator[str]:
    """Sign in during the block; yield the session's token."""
    given = {"username": owner.username, "password": owner.password}
    token: str = _call(owner.url, "POST", "/api/sessions", None, given)["token"]
    try:
        yield token
    finally:
        # A session that stays open ends by itself.
        with suppress(CommandFailed):
            _call(owner.url, "DELETE", "/api/sessions/current", token)


def _call(url: str, method: str, path: str, token: str | None, body: Any = None) -> Any:
    """Return the JSON of an answer of the 200s; None if the answer has no body."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    # http.client asks no proxy of the environment: the stack is on this machine.
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_CALL_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException) as error:
        raise CommandFailed(f"The stack at {url} does not answer. See scripts/up --status.") from error
    finally:
        connection.close()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise CommandFailed(_refusal(url, answer.status, path, text))
    return json.loads(text) if text else None


def _refusal(url: str, status: int, path: str, text: bytes) -> str:
    if (status, path) == (HTTPStatus.UNAUTHORIZED, "/api/sessions"):
        return (
            f"The stack at {url} refuses the password. scripts/up printed the password of admin at its first start; a "
            f"start of scripts/up with {VARIABLE} sets another password."
        )
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = "no reason is given."
    return f"The stack at {url} answers {status}: {detail}"
