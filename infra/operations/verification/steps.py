"""What is verified, step by step, and the removal of what was made. No step moves money: the ledger forgets nothing."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from infra.operations.failures import CommandFailed
from infra.operations.verification.caller import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.operations.account import Account

#: Every question and application carries the name, so that people and receivers of webhooks know where it comes from.
NAME = "Holdfast, verified by scripts/verify"
#: The time for the answer, also the longest that a question without one remains; and how long the caller waits for it.
_QUESTION_MS, _WAIT_MS = 60_000, 20_000
#: The stream shows a change within a second or two; a function that has to start first takes longer.
_PROJECTED_SECONDS, _PAUSE_SECONDS = 60, 0.5
_APPLICATION = {
    "applicantName": NAME,
    "email": "verify@example.org",
    "amountMinor": 100,
    "currency": "EUR",
    "termMonths": 12,
    "status": "submitted",
}
_GONE = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)


class Verification:
    """The use of the API that *owner* names. Each step needs the steps before it."""

    def __init__(self, owner: Account) -> None:
        self._owner = owner
        self._api = Api(owner.url)
        self._question = ""
        #: An id of its own, so that the application can be removed even if the answer to its creation was lost.
        self._application = f"verify-{secrets.token_hex(8)}"
        self._removals: dict[str, Callable[[], None]] = {}

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield name and step of everything that is verified, in order. A step raises CommandFailed at a fault."""
        yield "ready", self._ready
        yield "sign in", self._sign_in
        yield "question", self._ask
        yield "answer", self._answer
        yield "application", self._apply
        yield "change", self._change
        yield "approval", self._approve
        yield "history", self._read_history
        yield "ledger", self._verify_ledger

    @property
    def made(self) -> bool:
        """Whether something was made that `remove` would remove."""
        return bool(self._removals)

    def remove(self) -> list[str]:
        """Remove what was made, the latest first; return a sentence for each thing that remains. Safe to repeat."""
        remains = []
        for name, removal in reversed(self._removals.copy().items()):
            try:
                removal()
            except CommandFailed as error:
                remains.append(f"{name} remains. {error}")
            else:
                del self._removals[name]
        return remains

    def _ready(self) -> None:
        found = self._api.call("GET", "/ready", wanted=(HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE))
        if "stores" not in found:
            raise CommandFailed(f"{self._api.url} answers GET /ready, and not as Holdfast does: correct the address.")
        if down := [name for name, store in found["stores"].items() if not store["ok"]]:
            raise CommandFailed(
                f"The functions of {self._api.url} do not reach {' and '.join(down)}. Look at the secret's mongodbUri, "
                "the network of the functions, and their logs."
            )

    def _sign_in(self) -> None:
        given = {"username": self._owner.username, "password": self._owner.password}
        wanted = (HTTPStatus.CREATED, HTTPStatus.UNAUTHORIZED)
        session = self._api.call("POST", "/api/sessions", given, wanted=wanted)
        if "token" not in session:
            raise CommandFailed(
                f"The API at {self._api.url} refuses the password of {self._owner.username}. A deployment with "
                "HOLDFAST_ADMIN_PASSWORD gives the user admin that password."
            )
        self._api.token = session["token"]
        self._removals["The session"] = self._sign_out
        if "admin" not in session["roles"]:
            raise CommandFailed(f"{self._owner.username} is no administrator. Name an administrator with --username.")

    def _sign_out(self) -> None:
        self._api.call("DELETE", "/api/sessions/current", wanted=(HTTPStatus.NO_CONTENT,))

    def _ask(self) -> None:
        asked = {"username": self._owner.username, "title": NAME, "wait": False, "timeoutMs": _QUESTION_MS}
        made = self._api.call("POST", "/send-notification", asked, wanted=(HTTPStatus.ACCEPTED,))
        self._question = made["requestId"]
        self._removals["The question"] = self._cancel

    def _cancel(self) -> None:
        wanted = (*_GONE, HTTPStatus.CONFLICT)
        self._api.call("POST", f"/api/pending-responses/{self._question}/cancel", wanted=wanted)

    def _answer(self) -> None:
        """Answer while a caller waits, and compare what the caller hears."""
        path = f"/api/pending-responses/{self._question}"
        with ThreadPoolExecutor(1) as waiter:
            heard = waiter.submit(self._api.again().call, "GET", f"{path}?waitMs={_WAIT_MS}")
            self._api.call("POST", f"{path}/resolve", {"action": "approve"})
            found = heard.result()
        del self._removals["The question"]
        self._expect(found, status="resolved", action="approve", resolvedBy=self._owner.username)

    def _apply(self) -> None:
        self._removals[f"The application {self._application}"] = self._delete
        new = {**_APPLICATION, "applicationId": self._application}
        made = self._api.call("POST", "/api/applications", new, wanted=(HTTPStatus.CREATED,))
        self._expect(made, version=1, status="submitted")

    def _change(self) -> None:
        """Change the application, and see that a second change of the same version is refused."""
        changed = self._api.call("PUT", self._path, {"version": 1, "termMonths": 24})
        self._expect(changed, version=2, termMonths=24)
        wanted = (HTTPStatus.CONFLICT, HTTPStatus.OK)
        second = self._api.call("PUT", self._path, {"version": 1, "termMonths": 36}, wanted=wanted)
        self._expect(second, code="version-conflict", currentVersion=2)

    def _approve(self) -> None:
        approved = self._api.call("PUT", self._path, {"version": 2, "status": "approved"})
        self._expect(approved, version=3, status="approved")

    def _read_history(self) -> None:
        """Wait until the stream has projected every version into the history."""
        deadline = monotonic() + _PROJECTED_SECONDS
        while (versions := self._versions()) != [3, 2, 1]:
            if monotonic() > deadline:
                raise CommandFailed(
                    f"The history of the application {self._application} shows the versions {versions} after "
                    f"{_PROJECTED_SECONDS} s, not 3, 2 and 1. Look at the log of the function project."
                )
            sleep(_PAUSE_SECONDS)

    def _versions(self) -> list[int]:
        return [item["version"] for item in self._api.call("GET", f"{self._path}/history")["items"]]

    def _verify_ledger(self) -> None:
        cursor: str | None = ""
        while cursor is not None:
            found = self._api.call("GET", f"/api/ledger/verify{cursor and f'?cursor={cursor}'}")
            if not found["ok"]:
                raise CommandFailed(
                    f"The ledger is broken at entry {found['firstBrokenSeq']}: somebody has changed it past the API."
                )
            cursor = found["nextCursor"]

    def _delete(self) -> None:
        found = self._api.call("GET", self._path, wanted=_GONE)
        if version := found.get("version"):
            self._api.call("DELETE", f"{self._path}?version={version}", wanted=_GONE)

    @property
    def _path(self) -> str:
        return f"/api/applications/{self._application}"

    def _expect(self, found: Any, **wanted: Any) -> None:
        for name, value in wanted.items():
            if found.get(name) != value:
                raise CommandFailed(
                    f"The API at {self._api.url} shows {name} {found.get(name)!r} in place of {value!r}: {found}"
                )
