"""No token is spent twice, and a refusal names the exact moment of the next token."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chalicelib.core.coordination.rates import Limit, Rates, Taken
from chalicelib.core.errors import Unavailable
from chalicelib.core.stores.dynamodb import Table
from tests.support.concurrency import race
from tests.support.faulty_network import EPOCH_MS, Fate, FaultyNetwork, Process, explore
from tests.unit.core.conftest import NAME

TEN = Limit(10, 1000)
GRANTED = Taken(ok=True, retry_after_ms=0)
#: A table is shared by all examples, and no key is used by two.
EXAMPLES = count()

Take = Callable[[], Taken]


@pytest.fixture
def rates(network: FaultyNetwork, table: Table) -> Rates:
    return Rates(table, now=Process(network).now)


@pytest.fixture
def take(rates: Rates) -> Take:
    return partial(rates.take, "key", TEN)


def taken(take: Take) -> int:
    """Take tokens until a refusal, 50 at most; return their number."""
    return next((number for number in range(50) if not take().ok), 50)


def test_all_tokens_may_be_taken_at_once_and_no_more(network: FaultyNetwork, take: Take) -> None:
    assert taken(take) == 10
    assert take() == Taken(ok=False, retry_after_ms=100)


def test_several_tokens_are_taken_together_or_not_at_all(network: FaultyNetwork, rates: Rates, take: Take) -> None:
    assert [rates.take("key", TEN, tokens).ok for tokens in (6, 5, 4)] == [True, False, True]
    assert rates.take("key", TEN, 3) == Taken(ok=False, retry_after_ms=300)
    network.ms += 300
    assert rates.take("key", TEN, 3) == GRANTED
    assert take() == Taken(ok=False, retry_after_ms=100)


def test_several_tokens_are_given_back_together(network: FaultyNetwork, rates: Rates, take: Take) -> None:
    rates.take("key", TEN, 8)
    rates.give_back("key", TEN, 8)
    assert taken(take) == 10


def test_tokens_come_back_one_by_one(network: FaultyNetwork, take: Take) -> None:
    taken(take)
    for _ in range(3):
        network.ms += 99
        assert take() == Taken(ok=False, retry_after_ms=1)
        network.ms += 1
        assert take() == GRANTED
    network.ms += 350
    assert taken(take) == 3


def test_retry_after_matches_when_a_token_is_due(network: FaultyNetwork, rates: Rates) -> None:
    take = partial(rates.take, "key", Limit(3, 100))
    taken(take)
    assert take() == Taken(ok=False, retry_after_ms=34)
    network.ms += 33
    assert not take().ok
    network.ms += 1
    assert take() == GRANTED


def test_an_idle_key_saves_no_more_than_all_tokens(network: FaultyNetwork, take: Take) -> None:
    taken(take)
    network.ms += 1_000_000
    assert taken(take) == 10


def test_keys_do_not_share_tokens(rates: Rates, take: Take) -> None:
    taken(take)
    assert rates.take("other", TEN) == GRANTED


def test_limit_of_one_token_per_quarter_hour_is_kept(network: FaultyNetwork, rates: Rates) -> None:
    limit = Limit(1, 900_000)
    assert rates.take("key", limit) == GRANTED
    assert rates.take("key", limit) == Taken(ok=False, retry_after_ms=900_000)
    network.ms += 900_000
    assert rates.take("key", limit) == GRANTED


@pytest.mark.parametrize("limit", [Limit(7, 1000), Limit(3, 1), Limit(60, 1)])
def test_a_limit_that_does_not_divide_its_period_is_never_exceeded(
    network: FaultyNetwork, rates: Rates, limit: Limit
) -> None:
    take = partial(rates.take, "key", limit)
    at_once = next((number for number in range(limit.tokens + 1) if not take().ok), limit.tokens + 1)
    assert at_once == limit.tokens


def test_interval_of_a_very_high_limit_is_a_microsecond() -> None:
    assert Limit(5000, 1).interval_us == 1


def test_a_taken_token_can_be_given_back(take: Take, rates: Rates) -> None:
    taken(take)
    rates.give_back("key", TEN)
    assert taken(take) == 1


def test_token_given_back_to_an_idle_key_adds_nothing(network: FaultyNetwork, take: Take, rates: Rates) -> None:
    rates.give_back("key", TEN)
    take()
    network.ms += 100
    rates.give_back("key", TEN)
    assert taken(take) == 10


def test_giving_back_retried_after_a_lost_answer_adds_one_token(
    network: FaultyNetwork, take: Take, rates: Rates
) -> None:
    taken(take)
    with network.send("give back", [Fate.TWICE]):
        rates.give_back("key", TEN)
    assert taken(take) == 1


@pytest.mark.parametrize("before", [0, 1, 5])
def test_take_retried_after_a_lost_answer_gives_no_extra_token(network: FaultyNetwork, take: Take, before: int) -> None:
    for _ in range(before):
        take()
    with network.send("take", [Fate.TWICE, Fate.TWICE]):
        assert take() == GRANTED
    assert taken(take) <= 9 - before


def test_rate_item_is_kept_until_its_key_is_idle(network: FaultyNetwork, take: Take) -> None:
    taken(take)
    item = network.look(NAME, "rate#key") or {}
    assert item["arrival"] == (EPOCH_MS + 1000) * 1000
    assert item["ttl"] * 1_000_000 >= item["arrival"]


def test_slow_clock_adds_no_token_and_fast_clock_only_its_lead(
    network: FaultyNetwork, table: Table, take: Take
) -> None:
    slow, fast = (Rates(table, now=Process(network, skew_ms).now) for skew_ms in (-5000, 250))
    taken(take)
    assert not slow.take("key", TEN).ok
    assert taken(partial(fast.take, "key", TEN)) == 2
    assert not take().ok


@pytest.mark.parametrize("busy", [False, True])
def test_concurrent_takes_get_exactly_the_tokens_left(take: Take, busy: bool) -> None:
    if busy:
        take()
    allowed = [result for result in race([take] * 32) if isinstance(result, Taken) and result.ok]
    assert len(allowed) == 10 - busy


class Machine(RuleBasedStateMachine):
    """One key; callers whose clocks are up to *skew_ms* ahead; answers lost and requests late if *faulty*."""

    def __init__(self, client: Any, skew_ms: int, *, faulty: bool) -> None:
        super().__init__()
        self.network, self.skew_ms, self.faulty = FaultyNetwork(client), skew_ms, faulty
        self.key, self.limit = f"machine-{next(EXAMPLES)}", TEN
        self.clock = Process(self.network)
        self.rates = Rates(Table(self.network, NAME), now=self.clock.now)
        #: When a token was taken (+1) or given back (-1), in milliseconds.
        self.moves: list[tuple[int, int]] = []
        #: A token bucket of the same limit, and the time of its last refill: an independent model.
        self.bucket, self.seen_ms = Fraction(0), 0

    @initialize(limit=st.sampled_from([Limit(1, 100), Limit(3, 100), TEN, Limit(7, 1000)]))
    def choose(self, limit: Limit) -> None:
        self.limit, self.bucket = limit, Fraction(limit.tokens)

    @rule(milliseconds=st.sampled_from([1, 13, 33, 34, 99, 100, 101, 500, 5000]))
    def time_passes(self, milliseconds: int) -> None:
        self.network.ms += milliseconds

    @rule(share=st.sampled_from([0, 0.5, 1]))
    def clock_is_set(self, share: float) -> None:
        self.clock.skew_ms = round(self.skew_ms * share)

    @rule(fates=st.lists(st.sampled_from(list(Fate)), max_size=2), times=st.integers(1, 4))
    def take(self, fates: list[Fate], times: int) -> None:
        for _ in range(times):
            try:
                with self.network.send("take", fates if self.faulty else []):
                    answer = self.rates.take(self.key, self.limit)
            except Unavailable:
                continue
            self.settle(answer)

    @rule(fates=st.lists(st.sampled_from([Fate.LOST, Fate.TWICE, Fate.FINE]), max_size=1))
    def give_back(self, fates: list[Fate]) -> None:
        self.refill()
        try:
            with self.network.send("give back", fates if self.faulty else []):
                self.rates.give_back(self.key, self.limit)
        except Unavailable:
            # The limit must count the token as given back.
            assert self.faulty
        self.moves.append((self.network.ms, -1))
        self.bucket = min(self.bucket + 1, Fraction(self.limit.tokens))

    @precondition(lambda self: not self.faulty)
    @rule()
    def come_again_when_told(self) -> None:
        answer = Taken(ok=True, retry_after_ms=0)
        while answer.ok:
            answer = self.rates.take(self.key, self.limit)
            # Fails, and so ends the loop, if tokens never run out.
            self.settle(answer)
        self.network.ms += answer.retry_after_ms - 1
        assert self.rates.take(self.key, self.limit) == Taken(ok=False, retry_after_ms=1)
        self.network.ms += 1
        self.settle(self.rates.take(self.key, self.limit))
        assert self.moves[-1] == (self.network.ms, 1)

    @precondition(lambda self: self.network.underway)
    @rule()
    def a_late_request_arrives(self) -> None:
        self.network.deliver()

    def settle(self, answer: Taken) -> None:
        self.refill()
        if not self.faulty and not self.skew_ms:
            assert answer.ok == (self.bucket >= 1)
        if answer.ok:
            self.bucket -= 1
            self.moves.append((self.network.ms, 1))
            self.check_limit()

    def check_limit(self) -> None:
        """Check every period up to now: at most all tokens, plus the refill of the period, were taken."""
        had = 0
        for at_ms, move in reversed(self.moves):
            had += move
            elapsed_us = (self.network.ms - at_ms + self.skew_ms) * 1000
            assert had <= self.limit.tokens + Fraction(elapsed_us, self.limit.interval_us)

    def refill(self) -> None:
        came = Fraction((self.network.ms - self.seen_ms) * 1000, self.limit.interval_us)
        self.bucket = min(self.bucket + came, Fraction(self.limit.tokens))
        self.seen_ms = self.network.ms


@pytest.mark.parametrize(("skew_ms", "faulty"), [(0, False), (0, True), (200, False), (200, True)])
def test_no_order_of_events_spends_a_token_twice(dynamodb: Any, skew_ms: int, faulty: bool) -> None:
    explore(lambda: Machine(dynamodb, skew_ms, faulty=faulty), examples=25, steps=20)
