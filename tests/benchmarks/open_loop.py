"""An open-loop load: callers call at random moments, independent of earlier answers.

A call's time counts from its due moment, not from its sending, so a slow answer counts for every delayed call
("coordinated omission", Gil Tene, "How NOT to Measure Latency", 2013).
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import aiohttp

APPLICATIONS = "/api/applications"
HEALTH = "/health"
#: The status of a call without an answer.
NONE = 0
#: The number of attempts at a change after conflicts.
_ATTEMPTS = 20
_DEADLINE = aiohttp.ClientTimeout(total=60)


class Call(NamedTuple):
    """A call's status, time and due moment."""

    status: int
    ms: float
    due: float


#: A caller's next step, with its due moment.
Turn = Callable[["Caller", float], Awaitable[None]]


class Caller:
    """A caller with a session, a connection and a sequence of random choices."""

    def __init__(self, url: str, token: str, ids: Sequence[str], number: int) -> None:
        self._url, self._token, self._ids, self._rng = url, token, ids, random.Random(number)
        self.calls: list[Call] = []
        #: The id of the application of each change by this caller.
        self.changed: list[str] = []

    async def call_on(self, turn: Turn, begin: float, seconds: float, gap: float) -> None:
        """Take turns at random, *gap* seconds apart on average, from *begin* on."""
        due, until = begin + self._rng.expovariate(1 / gap), begin + seconds
        headers = {"Authorization": f"Bearer {self._token}"}
        # A session of its own gives each caller a connection of its own.
        async with aiohttp.ClientSession(headers=headers, timeout=_DEADLINE) as self._http:
            while due < until:
                await asyncio.sleep(due - time.perf_counter())
                await turn(self, due)
                due += self._rng.expovariate(1 / gap)

    async def health(self, due: float) -> None:
        """Call /health, which makes no store round trip."""
        await self._call("GET", HEALTH, due)

    async def work(self, due: float) -> None:
        """Read the first page, read an application, or read and change it; a fifth of the calls are changes."""
        path, chance = f"{APPLICATIONS}/{self._rng.choice(self._ids)}", self._rng.random()
        if chance < 0.5:
            await self._call("GET", APPLICATIONS, due)
        else:
            found = await self._call("GET", path, due)
            if chance > 0.75 and found:
                await self._change(path, found["version"])

    async def _change(self, path: str, version: int) -> None:
        for _ in range(_ATTEMPTS):
            body = {"incomeMinor": self._rng.randrange(10**6), "version": version}
            document = await self._call("PUT", path, time.perf_counter(), body)
            if document is None or "currentVersion" not in document:
                if document:
                    self.changed.append(path.rpartition("/")[2])
                return
            version = document["currentVersion"]

    async def _call(self, method: str, path: str, due: float, body: Any = None) -> dict[str, Any] | None:
        """Return the body of a 200 or 409 about a single application, else None."""
        status, document = NONE, None
        try:
            async with self._http.request(method, self._url + path, json=body) as answer:
                text = await answer.read()
            status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            text = b""
        # Pages are not parsed.
        if status in {200, 409} and path != APPLICATIONS:
            document = json.loads(text)
        self.calls.append(Call(status, (time.perf_counter() - due) * 1000, due))
        return document


class Plan(NamedTuple):
    """The rate of turns of all callers, the measured seconds, and the unmeasured seconds before."""

    turn: Turn
    turns_per_second: float
    seconds: float
    warming_seconds: float


def follow(plan: Plan, callers: Sequence[Caller]) -> list[Call]:
    """Have all *callers* follow *plan*, and return the measured calls."""
    return asyncio.run(_follow(plan, callers))


async def _follow(plan: Plan, callers: Sequence[Caller]) -> list[Call]:
    begin, seconds = time.perf_counter(), plan.warming_seconds + plan.seconds
    gap = len(callers) / plan.turns_per_second
    await asyncio.gather(*(caller.call_on(plan.turn, begin, seconds, gap) for caller in callers))
    counts = begin + plan.warming_seconds
    return [call for caller in callers for call in caller.calls if call.due >= counts]
