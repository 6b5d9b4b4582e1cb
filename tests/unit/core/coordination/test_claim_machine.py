"""Claims in any order of events: attempts that die, take over, finish late; lost answers, late requests.

The invariants are checked on the stored item after every step.
"""

from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, multiple, precondition, rule

from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost, OtherRequest, StillRunning
from chalicelib.core.errors import ServiceError, Unavailable
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import EPOCH_MS, Fate, FaultyNetwork, Process, explore
from tests.unit.core.conftest import NAME

SKEW_MS, LEASE_MS, TTL_SECONDS = 50, 2000, 5
PROCESSES = 3
#: A table is shared by all examples, and no key is used by two.
EXAMPLES = count()

ANY_PROCESS = st.integers(0, PROCESSES - 1)
#: Beginning takes a second write where it takes over.
FATES = st.sampled_from([[], [], *([fate] for fate in Fate), *([Fate.FINE, fate] for fate in Fate)])
FINGERPRINTS = st.sampled_from(["", "", "", "other"])


class Ours(NamedTuple):
    """A claim and its process; kept for ever, as a paused worker keeps its claim."""

    process: int
    claim: Claim


class Machine(RuleBasedStateMachine):
    """One key, three processes whose clocks are up to *skew_ms* ahead of the network's."""

    claims = Bundle("claims")

    def __init__(self, client: Any, skew_ms: int) -> None:
        super().__init__()
        self.network, self.skew_ms = FaultyNetwork(client), skew_ms
        self.table = Table(self.network, NAME)
        self.key = f"machine-{next(EXAMPLES)}"
        self.processes = [Process(self.network) for _ in range(PROCESSES)]
        options = CoordinationSettings(skew_allowance_ms=SKEW_MS, claim_lease_ms=LEASE_MS)
        self.stores = [Claims(self.table, options, now=clock.now) for clock in self.processes]
        #: The stored item after the last step, and the number of companion writes.
        self.item: Item | None = None
        self.finished = 0
        self.results = count()

    @rule(milliseconds=st.sampled_from([1, 49, 50, 51, 500, LEASE_MS, LEASE_MS + 51, 1000 * TTL_SECONDS + 1000]))
    def time_passes(self, milliseconds: int) -> None:
        self.network.ms += milliseconds

    @precondition(lambda self: self.item)
    @rule(end=st.sampled_from(["lease", "claim"]), beyond_ms=st.sampled_from([0, SKEW_MS, SKEW_MS + 1]))
    def the_end_comes(self, end: str, beyond_ms: int) -> None:
        """Time passes to one of the moments around which work changes hands."""
        item = self.item or {}
        end_ms = item["ttl"] * 1000 if end == "claim" else item.get("leaseUntil", 0)
        self.network.ms = max(self.network.ms, end_ms + beyond_ms - EPOCH_MS)

    @rule(process=ANY_PROCESS, share=st.sampled_from([0, 0.5, 1]))
    def clock_is_set(self, process: int, share: float) -> None:
        self.processes[process].skew_ms = round(self.skew_ms * share)

    @rule(target=claims, process=ANY_PROCESS, fingerprint=FINGERPRINTS, fates=FATES)
    def begin(self, process: int, fingerprint: str, fates: list[Fate]) -> Ours | MultipleResults[Ours]:
        before, now_ms = self.item, self.now_ms(process)
        try:
            with self.network.send("begin", fates):
                claim = self.stores[process].begin(self.key, ttl_seconds=TTL_SECONDS, fingerprint=fingerprint)
        except ServiceError as error:
            self.judge(error, before, now_ms, fingerprint, fates)
            self.look()
            return multiple()
        self.look()
        assert self.item is not None
        assert (self.item["attempt"], self.item["state"]) == (claim.attempt, "running")
        assert self.item["resourceId"] == claim.resource_id
        over = before is None or before["ttl"] < now_ms // 1000
        assert claim.taken_over == (not over)
        if before is not None and not over:
            assert before["state"] == "running"
            assert before["fingerprint"] == fingerprint
            assert before["leaseUntil"] + SKEW_MS < now_ms
        return Ours(process, claim)

    @rule(ours=claims, fates=FATES, beside=st.booleans())
    def finish(self, ours: Ours, fates: list[Fate], beside: bool) -> None:
        before, running = self.item, self.runs(ours.claim)
        result = f"result {next(self.results)}"
        also = [self.table.update_entry(f"beside#{self.key}", "ADD times :one", values={":one": 1})] if beside else []
        try:
            with self.network.send("finish", fates):
                self.stores[ours.process].finish(ours.claim, result, also)
        except ServiceError as error:
            self.excuse(error, running=running, fates=fates)
            self.finished += beside and running and fates[0] is Fate.LOST
        else:
            self.finished += beside and running
            # By this attempt now, or by this attempt before.
            assert running or (before or {}).get("attempt") == ours.claim.attempt
        self.look()
        if not running:
            assert self.item == before
        elif Fate.LATE not in fates:
            assert self.item is not None
            assert self.item["result"] == result
        assert self.beside() == self.finished

    @rule(ours=claims, fates=FATES)
    def abandon(self, ours: Ours, fates: list[Fate]) -> None:
        before, running = self.item, self.runs(ours.claim)
        try:
            with self.network.send("abandon", fates):
                self.stores[ours.process].abandon(ours.claim)
        except Unavailable:
            assert fates
        self.look()
        if not running:
            assert self.item == before

    @precondition(lambda self: self.network.underway)
    @rule()
    def a_late_request_arrives(self) -> None:
        before = self.item
        doing = self.network.deliver()
        self.look()
        times = self.beside()
        if times > self.finished:
            assert doing == "finish"
            assert (before or {}).get("state") == "running"
            assert (self.item or {}).get("state") == "done"
            self.finished += 1
        assert times == self.finished

    def excuse(self, error: ServiceError, *, running: bool, fates: list[Fate]) -> None:
        """Check that `ClaimLost` is raised only for a lost claim, and other errors only for a network fault."""
        assert not running if isinstance(error, ClaimLost) else {Fate.LOST, Fate.LATE} & set(fates)

    def runs(self, claim: Claim) -> bool:
        return self.item is not None and (self.item["attempt"], self.item["state"]) == (claim.attempt, "running")

    def now_ms(self, process: int) -> int:
        return self.network.now_ms() + self.processes[process].skew_ms

    def judge(self, error: ServiceError, before: Item | None, now_ms: int, fingerprint: str, fates: list[Fate]) -> None:
        """Check that the refusal of a claim names the true reason."""
        if isinstance(error, Unavailable) and not isinstance(error, StillRunning):
            assert {Fate.LOST, Fate.LATE} & set(fates)
            return
        assert before is not None
        assert before["ttl"] >= now_ms // 1000
        if isinstance(error, OtherRequest):
            assert before["fingerprint"] != fingerprint
        if isinstance(error, AlreadyDone):
            assert (before["state"], before["result"]) == ("done", error.result)
        if isinstance(error, StillRunning):
            assert before["state"] == "running"
            assert before["leaseUntil"] + SKEW_MS >= now_ms

    def look(self) -> None:
        """Read the item, and check that its change from the last step is a legal one."""
        before, self.item = self.item, self.network.look(NAME, f"claim#{self.key}")
        after = self.item
        if before is None:
            return
        assert after is not None
        if after["state"] == "running":
            # DynamoDB may remove items past their TTL: never a claim whose attempt may still be at work.
            assert after["ttl"] * 1000 >= after["leaseUntil"]
        if after["resourceId"] == before["resourceId"]:
            assert after["fingerprint"] == before["fingerprint"]
            if before["state"] == "done":
                assert after == before
        else:
            # Made anew, and no clock allows that before the TTL.
            assert before["ttl"] * 1000 < self.network.now_ms() + self.skew_ms
            if before["state"] == "running" and self.skew_ms <= SKEW_MS:
                assert before["leaseUntil"] < self.network.now_ms() + SKEW_MS

    def beside(self) -> int:
        return int((self.network.look(NAME, f"beside#{self.key}") or {}).get("times", 0))


class Crash(BaseException):
    """The process died: no later statement runs."""


class Once(RuleBasedStateMachine):
    """One key; callers of `once` whose work crashes, fails or outlives its lease."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.network = FaultyNetwork(client)
        self.key = f"once-{next(EXAMPLES)}"
        options = CoordinationSettings(skew_allowance_ms=SKEW_MS, claim_lease_ms=LEASE_MS)
        self.claims = Claims(Table(self.network, NAME), options, now=Process(self.network).now)
        self.made: set[str] = set()
        self.results: set[str] = set()

    @rule(milliseconds=st.sampled_from([1, LEASE_MS + SKEW_MS + 1]))
    def time_passes(self, milliseconds: int) -> None:
        self.network.ms += milliseconds

    @rule(end=st.sampled_from(["well", "fails", "crashes", "slow", "overtaken"]), fates=FATES)
    def call(self, end: str, fates: list[Fate]) -> None:
        def work(claim: Claim) -> str:
            # The resource has the claim's id: a second attempt makes the same resource.
            self.made.add(claim.resource_id)
            if end == "fails":
                raise ZeroDivisionError
            if end == "crashes":
                raise Crash
            if end in {"slow", "overtaken"}:
                self.network.ms += LEASE_MS + SKEW_MS + 1
            if end == "overtaken":
                self.results.add(self.claims.once(self.key, lambda other: other.attempt, ttl_seconds=10**6))
            return claim.attempt

        try:
            with self.network.send("once", fates):
                self.results.add(self.claims.once(self.key, work, ttl_seconds=10**6))
        except (Crash, ZeroDivisionError, Unavailable, ClaimLost):
            pass
        assert len(self.made) <= 1
        assert len(self.results) <= 1


@pytest.mark.parametrize("skew_ms", [SKEW_MS, 40 * SKEW_MS], ids=["clocks within the allowance", "clocks far apart"])
def test_no_order_of_events_breaks_a_claim(dynamodb: Any, skew_ms: int) -> None:
    explore(lambda: Machine(dynamodb, skew_ms), examples=50, steps=30)


def test_no_order_of_events_makes_two_results(dynamodb: Any) -> None:
    explore(lambda: Once(dynamodb), examples=40, steps=12)
