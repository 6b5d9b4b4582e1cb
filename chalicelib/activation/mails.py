"""Mails of activated leads. The mail service is asked at most once for each.

A worker marks a mail as asked for before it asks, in one atomic update. A crash between mark and outcome leaves nobody
who knows whether the mail was sent: such a mail counts as failed, with the reason ``uncertain``, and is never repeated.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import ASCENDING

from chalicelib import progress
from chalicelib.activation.models import UNCERTAIN, Letter, Mail, Outcome, State
from chalicelib.activation.store import TRANSACTION_SECONDS, ActivationStore
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.accounts import Account
from chalicelib.core.stores.driver_errors import reaching_mongodb

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

#: A mail that is being asked for so long has lost its worker: no function of the queue runs as long.
ASKING_MS = 60_000
_LOST = {"$lt": ["$askedAt", {"$subtract": ["$$NOW", ASKING_MS]}]}
_MAILING: Mapping[str, Any] = {"state": {"$ne": State.PAUSED}, "mails": {"$gt": 0}}
#: The most mails that one run of a sweep counts as uncertain.
_MOST = 500


class Mails:
    """Mails by lead."""

    def __init__(self, database: "Database[dict[str, Any]]", activations: ActivationStore) -> None:
        self._client, self._activations = database.client, activations
        self._own, self._leads = database.activations, database.leads

    def next(self) -> Letter | None:
        """Claim a pending mail of the activation that was served the longest ago, or return None. Atomic.

        Nobody else gets the same mail, ever: the caller must ask the mail service, or give the mail back.
        """
        tried: list[str] = []
        while session_id := self._next(tried):
            claim = ids.new_id()
            with reaching_mongodb():
                found = self._leads.find_one_and_update(
                    {"session": session_id, "mail": Mail.PENDING},
                    [{"$set": {"mail": Mail.ASKING, "ask": claim, "askedAt": "$$NOW"}}],
                    sort=[("_id", ASCENDING)],
                )
            if found:
                account = Account(found["username"], found["account"])
                return Letter(found["_id"], session_id, claim, found["email"], found["name"], account)
            tried.append(session_id)
        return None

    def give_back(self, letter: Letter) -> None:
        """Make the mail pending again: the mail service was not asked."""
        with reaching_mongodb():
            self._leads.update_one(
                {"_id": letter.lead_id, "mail": Mail.ASKING, "ask": letter.claim}, {"$set": {"mail": Mail.PENDING}}
            )

    def sent(self, letter: Letter, mail_id: str) -> bool:
        """Store and count that the mail service took the mail; return False if the mail was counted as uncertain."""
        change = {"mail": Mail.SENT, "mailId": mail_id}
        return self._settle(letter.lead_id, letter.session_id, {"ask": letter.claim}, change, "emailsSent")

    def failed(self, letter: Letter, reason: str) -> bool:
        """Store and count that the mail failed; return False if the mail was counted before."""
        change = {"mail": Mail.FAILED, "reason": reason}
        return self._settle(letter.lead_id, letter.session_id, {"ask": letter.claim}, change, "emailsFailed")

    def sweep(self) -> int:
        """Count mails whose worker died as failed, with the reason ``uncertain``; return how many. Safe to repeat."""
        with reaching_mongodb():
            found = list(self._leads.find({"mail": Mail.ASKING, "$expr": _LOST}, {"session": 1, "ask": 1}, limit=_MOST))
        change = {"mail": Mail.FAILED, "reason": UNCERTAIN}
        return sum(
            self._settle(each["_id"], each["session"], {"ask": each["ask"]}, change, "emailsFailed") for each in found
        )

    def has_mails(self) -> bool:
        """Return whether a worker would find a mail."""
        with reaching_mongodb():
            return self._own.find_one(_MAILING, {"_id": 1}) is not None

    def oldest(self) -> datetime | None:
        """Return since when the activation whose mails wait the longest has waited for its turn, or None."""
        with reaching_mongodb():
            found = self._own.find_one(_MAILING, {"mailedAt": 1}, sort=[("mailedAt", ASCENDING)])
        return found["mailedAt"] if found else None

    def returned(self, mail_id: str, outcome: Outcome, reason: str) -> bool:
        """Change the outcome of the lead whose mail came back; return False if no kept lead has the mail.

        Safe to repeat. The counters stay: the mail service did take the mail.
        """
        with reaching_mongodb():
            done = self._leads.update_one({"mailId": mail_id}, {"$set": {"outcome": outcome, "reason": reason}})
        return done.matched_count == 1

    def _next(self, tried: Sequence[str]) -> str | None:
        query = {**_MAILING, "_id": {"$nin": list(tried)}}
        with reaching_mongodb():
            found = self._own.find_one_and_update(
                query, [{"$set": {"mailedAt": "$$NOW"}}], {"_id": 1}, sort=[("mailedAt", ASCENDING)]
            )
        return found["_id"] if found else None

    def _settle(
        self, lead: str, session_id: str, held: Mapping[str, Any], change: Mapping[str, Any], counter: str
    ) -> bool:
        def write(session: "ClientSession") -> bool:
            query = {"_id": lead, "mail": Mail.ASKING, **held}
            if self._leads.update_one(query, {"$set": dict(change)}, session=session).modified_count == 0:
                return False
            self._own.update_one({"_id": session_id}, {"$inc": {"mails": -1}}, session=session)
            self._activations.count(session_id, {counter: 1, "emailsPending": -1}, session)
            self._activations.end_if_over(session_id, session)
            return True

        with reaching_mongodb(), pymongo.timeout(TRANSACTION_SECONDS), self._client.start_session() as session:
            done = session.with_transaction(write)
        progress.announce(session_id)
        return done
