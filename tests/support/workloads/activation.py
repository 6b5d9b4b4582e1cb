"""Activations of new, known and impossible addresses; a mail server counts who was asked for, and how often."""

import itertools
import random
import secrets
from collections import Counter
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tests.support.client import Client, json_of, patiently
from tests.support.ses import MailServer
from tests.support.waiting import eventually
from tests.support.watchers import WAYS, Watcher

#: A killed worker's message comes again after 30 s, and the sweep counts a lost mail after two minutes at most.
_PATIENCE_SECONDS = 1_800
#: Of so many leads, one has an address of another activation, and one has an impossible address.
_RARELY = 20


class Workload:
    """Activations of *leads* leads each, which one officer begins."""

    def __init__(self, officer: Client, database: Database[dict[str, Any]], ses: MailServer, leads: int) -> None:
        self._officer, self._database, self._ses, self._leads = officer, database, ses, leads
        self._begun: dict[str, int] = {}
        self._known: list[str] = []

    def act(self, rng: random.Random) -> None:
        """Begin an activation."""
        mark, emails = secrets.token_hex(4), list[str]()
        for number in range(self._leads):
            kind = rng.randrange(_RARELY)
            if kind == 0 and self._known:
                emails.append(rng.choice(self._known))
            else:
                emails.append(f"nobody {mark} {number}" if kind == 1 else f"{mark}-{number}@example.org")
        body = {"leads": [{"email": email, "name": "Ann"} for email in emails]}
        made = json_of(patiently(lambda: self._officer.post("/activation", body)), 202)
        assert made["total"] == len(set(emails))
        self._begun[made["sessionId"]] = made["total"]
        self._known += [email for email in emails if "@" in email]

    def watch(self, number: int) -> list[Watcher]:
        """Return *number* new watchers in each way, of the activations in turn."""
        sessions = itertools.cycle(self._begun)
        return [Watcher(way, self._officer, next(sessions)) for _ in range(number) for way in WAYS]

    def last(self, watcher: Watcher) -> dict[str, Any]:
        """Return the last snapshot of the activation of *watcher*."""
        path = f"/activation/progress/{watcher.session_id}"
        found: dict[str, Any] = json_of(patiently(lambda: self._officer.get(path)))["data"]
        return found

    @property
    def done(self) -> bool:
        """Whether all activations are completed."""
        return all(self._progress(session_id)["completed"] for session_id in self._begun)

    def check(self) -> Counter[str]:
        """Wait until all is completed; assert that each lead was counted once and asked for at most once.

        Return the sums of all counters.
        """
        eventually(lambda: self.done, _PATIENCE_SECONDS, every_seconds=0.5, retry=PyMongoError)
        sums: Counter[str] = Counter()
        for session_id, total in self._begun.items():
            sums.update(self._checked(session_id, total))
        assert max(self._ses.asked.values(), default=0) <= 1, self._ses.asked.most_common(3)
        # The same address is a new user for one activation alone.
        users = list(self._database.leads.find({"outcome": "activated", "session": {"$in": list(self._begun)}}))
        assert len({lead["username"] for lead in users}) == len(users) == sums["activated"]
        assert sums["emailsSent"] <= len(self._ses.taken) <= sums["emailsSent"] + sums["uncertain"]
        return sums

    def _checked(self, session_id: str, total: int) -> dict[str, int]:
        progress = self._progress(session_id)
        leads = list(self._database.leads.find({"session": session_id}))
        outcomes, mails = Counter(lead["outcome"] for lead in leads), Counter(lead["mail"] for lead in leads)
        counted = {name: progress[name] for name in ("activated", "skipped", "failed", "emailsSent", "emailsFailed")}
        assert counted["activated"] + counted["skipped"] + counted["failed"] == total == len(leads)
        assert {name: outcomes[name] for name in ("activated", "skipped", "failed")}.items() <= counted.items()
        assert (mails["sent"], mails["failed"]) == (counted["emailsSent"], counted["emailsFailed"])
        assert counted["emailsSent"] + counted["emailsFailed"] == counted["activated"]
        return {**counted, "uncertain": sum(lead["reason"] == "uncertain" for lead in leads)}

    def _progress(self, session_id: str) -> dict[str, Any]:
        found = self._database.progress.find_one({"_id": session_id})
        assert found
        return found
