"""Messages come twice, workers die, and each work is done, counted and buried as promised."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.coordination import wiring as coordination_wiring
from chalicelib.core.coordination.claims import Claim, Claims
from chalicelib.core.coordination.errors import StillRunning
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import wiring as queueing_wiring
from chalicelib.core.queueing.consumer import Later, Poison
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores import clients
from tests.support.queue import CHORES, Chore, Clock, Killed, Post
from tests.unit.conftest import Printed

BOTH = ("completed", "failed")


@pytest.fixture
def post(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    clock = Clock()
    made = Post(clients.aws("sqs"), clock)
    claims = Claims(clients.table("coordination"), CoordinationSettings(), now=clock)
    monkeypatch.setattr(queueing_wiring, "sender", lambda: made.mail)
    monkeypatch.setattr(coordination_wiring, "claims", lambda: claims)
    yield made
    clients.aws("sqs").meta.events.unregister("provide-client-params.sqs.ChangeMessageVisibility", unique_id="post")


class Hands:
    """Does chores, and remembers each time."""

    def __init__(self) -> None:
        self.runs: list[Claim] = []
        self.done: Counter[str] = Counter()

    def __call__(self, chore: Chore, claim: Claim) -> None:
        self.runs.append(claim)
        self.done[chore.chore_id] += 1


@pytest.fixture
def hands() -> Hands:
    return Hands()


def counted() -> tuple[int, int]:
    """Return how many chores were completed and how many failed."""
    found = coordination_wiring.counts().read([CHORES.name], BOTH)[CHORES.name]
    return found["completed"], found["failed"]


def refuse(chore: Chore, claim: Claim) -> None:
    raise Poison(f"nobody can do {chore.chore_id}")


def die(*_: Any, **__: Any) -> Any:
    raise Killed


def no_table(chore: Chore, claim: Claim) -> None:
    raise Unavailable("The yard is locked.")


def break_down(chore: Chore, claim: Claim) -> None:
    raise ZeroDivisionError("secret 4711")


def test_each_message_is_worked_on_and_counted(post: Post, hands: Hands) -> None:
    post.add("a", "b", "c")
    assert post.deliver(hands) == []
    assert hands.done == Counter("abc")
    assert (counted(), post.left(), post.letters()) == ((3, 0), 0, [])


def test_a_work_is_done_once_however_often_its_message_comes(post: Post, hands: Hands) -> None:
    # Given three copies of one message and a second delivery of each
    post.add("a", copies=3)
    batch = post.batch()
    post.deliver(hands, batch)
    post.deliver(hands, batch)
    # Then
    assert hands.done == Counter("a")
    assert counted() == (1, 0)


def test_a_copy_that_comes_while_the_work_is_being_done_waits(post: Post, hands: Hands, printed: Printed) -> None:
    post.add("a")
    first = post.batch()

    def meanwhile(chore: Chore, claim: Claim) -> None:
        assert post.deliver(hands, first) == [first[0]["messageId"]]
        hands(chore, claim)

    post.deliver(meanwhile, first)
    assert hands.done == Counter("a")
    assert counted() == (1, 0)
    assert [line["outcome"] for line in printed.lines()] == ["again", "done"]


def test_work_whose_worker_died_is_done_again_under_a_claim_that_says_so(post: Post, hands: Hands) -> None:
    # Given a worker that died between doing and saying so
    post.add("a")
    batch = post.batch()

    def do_and_die(chore: Chore, claim: Claim) -> None:
        hands(chore, claim)
        raise Killed

    with pytest.raises(Killed):
        post.deliver(do_and_die, batch)
    assert counted() == (0, 0)
    # When its time is over and the message comes again
    post.wait(batch)
    assert post.deliver(hands) == []
    # Then the second attempt knows, and works on the same resource
    first, second = hands.runs
    assert (first.taken_over, second.taken_over) == (False, True)
    assert first.resource_id == second.resource_id
    assert counted() == (1, 0)


def test_work_is_not_done_again_if_its_worker_died_after_saying_so(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.add("a")
    batch = post.batch()
    with monkeypatch.context() as dying:
        finish = Claims.finish

        def finish_and_die(*given: Any, **more: Any) -> None:
            finish(*given, **more)
            raise Killed

        dying.setattr(Claims, "finish", finish_and_die)
        with pytest.raises(Killed):
            post.deliver(hands, batch)
    post.wait(batch)
    assert post.deliver(hands) == []
    assert hands.done == Counter("a")
    assert (counted(), post.left()) == ((1, 0), 0)


def test_only_what_failed_comes_again(post: Post, hands: Hands) -> None:
    post.add("a", "bad", "b", "worse", "c")
    batch = post.batch()
    ids = {json.loads(record["body"])["choreId"]: record["messageId"] for record in batch}

    def some(chore: Chore, claim: Claim) -> None:
        if chore.chore_id == "bad":
            raise ZeroDivisionError
        if chore.chore_id == "worse":
            raise Unavailable
        hands(chore, claim)

    assert sorted(post.deliver(some, batch)) == sorted([ids["bad"], ids["worse"]])
    assert hands.done == Counter("abc")
    assert (counted(), post.left()) == ((3, 0), 2)
    # And what failed is free to be done at once, under the same resource
    post.wait(batch, seconds=0)
    post.deliver(hands)
    assert counted() == (5, 0)


def test_poison_is_buried_at_once_with_its_reason(post: Post) -> None:
    post.add("a")
    assert post.deliver(refuse) == []
    ((body, reason),) = post.letters()
    assert reason == "nobody can do a"
    assert json.loads(body) == {"schema": 1, "causedBy": "cause of a", "choreId": "a"}
    assert (counted(), post.left()) == ((0, 1), 0)


def test_poison_is_counted_once_and_still_buried_if_its_worker_died_in_between(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.add("a")
    batch = post.batch()
    with monkeypatch.context() as dying:
        dying.setattr(post.mail, "bury", die)
        with pytest.raises(Killed):
            post.deliver(refuse, batch)
    post.wait(batch)
    assert post.deliver(hands) == []
    assert post.letters()[0][1] == "nobody can do a"
    assert (hands.runs, counted()) == ([], (0, 1))


def test_poison_is_buried_later_if_the_dead_letter_queue_is_out_of_reach(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.add("a")
    batch = post.batch()

    def unreachable(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as down:
        down.setattr(post.mail, "bury", unreachable)
        assert post.deliver(refuse, batch) == [batch[0]["messageId"]]
    post.wait(batch)
    assert post.deliver(hands) == []
    assert len(post.letters()) == 1
    assert counted() == (0, 1)


@pytest.mark.parametrize("reason", ["a \x00 \x1b[31m quote", "half of one: \ud800", "x" * 5_000, ""])
def test_a_reason_may_quote_anything(post: Post, reason: str) -> None:
    def quote(chore: Chore, claim: Claim) -> None:
        raise Poison(reason)

    post.add("a")
    assert post.deliver(quote) == []
    ((_, said),) = post.letters()
    assert said
    assert said.isprintable()
    assert len(said) <= 1_000


def test_who_asks_for_later_is_asked_then(post: Post, printed: Printed) -> None:
    def later(chore: Chore, claim: Claim) -> None:
        raise Later("the paint is wet", 41.2)

    post.add("a")
    batch = post.batch()
    assert post.deliver(later, batch) == [batch[0]["messageId"]]
    # Never sooner than was asked for
    assert post.postponed == [42]
    (line,) = printed.lines()
    assert (line["outcome"], line["why"]) == ("again", "the paint is wet")


@pytest.mark.parametrize(("asked", "given"), [(-5, 1), (0, 1), (0.2, 1), (10**6, 900)])
def test_what_sqs_would_not_take_as_a_pause_is_cut(post: Post, asked: float, given: int) -> None:
    def later(chore: Chore, claim: Claim) -> None:
        raise Later("later", asked)

    post.add("a")
    post.deliver(later)
    assert post.postponed == [given]


def test_each_failure_makes_the_next_pause_longer_at_most(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.core.runtime.backoff.random.uniform", lambda _, longest: longest)
    post.add("a")
    for _ in range(2):
        batch = post.batch()
        post.deliver(no_table, batch)
        post.wait(batch)
    assert post.postponed == [2, 4]


def test_a_message_comes_again_also_when_its_pause_cannot_be_set(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise Unavailable

    post.add("a", "b")
    batch = post.batch()
    with monkeypatch.context() as down:
        down.setattr(post.mail, "postpone", unreachable)
        assert len(post.deliver(no_table, batch)) == 2
    post.wait(batch, seconds=0)
    post.deliver(hands)
    assert counted() == (2, 0)


@pytest.mark.parametrize(
    ("handle", "why"),
    [(no_table, "The yard is locked."), (break_down, "ZeroDivisionError")],
)
def test_the_last_attempt_buries_with_what_went_wrong_last(post: Post, handle: Any, why: str) -> None:
    post.add("a")
    for _ in range(CHORES.attempts):
        assert post.letters() == []
        batch = post.batch()
        failed = post.deliver(handle, batch)
        if failed:
            post.wait(batch)
    assert failed == []
    assert [reason for _, reason in post.letters()] == [f"after 3 attempts: {why}"]
    assert (counted(), post.left()) == ((0, 1), 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("4711", "unreadable: "),
        ("{broken 4711", "unreadable: "),
        ('{"schema":1,"causedBy":"x","choreId":4711}', "choreId"),
        ('{"schema":2,"causedBy":"x","choreId":"4711"}', "schema"),
        ('{"schema":1,"causedBy":"x","choreId":"a","pin":"4711"}', "pin"),
        ('{"schema":1,"causedBy":"x"}', "choreId"),
    ],
)
def test_what_cannot_be_read_is_buried_with_why_and_without_what(
    post: Post, hands: Hands, body: str, said: str
) -> None:
    post.drop(body)
    assert post.deliver(hands) == []
    ((buried, reason),) = post.letters()
    assert buried == body
    assert said in (reason or "")
    assert "4711" not in (reason or "")
    assert (hands.runs, counted()) == ([], (0, 1))


def test_each_unreadable_message_is_counted_once(post: Post, hands: Hands) -> None:
    post.drop("same", "same")
    batch = post.batch()
    post.deliver(hands, batch)
    post.deliver(hands, batch)
    assert counted() == (0, 2)


def test_a_letter_that_is_sent_back_is_worked_on_again(post: Post, hands: Hands) -> None:
    # Given
    post.add("a")
    post.deliver(refuse)
    # When
    assert post.send_back() == 1
    assert post.deliver(hands) == []
    # Then it is completed, and that it once failed is still known
    assert [claim.taken_over for claim in hands.runs] == [True]
    assert (counted(), post.letters()) == ((1, 1), [])
    # And a copy that comes late changes nothing
    post.add("a")
    post.drop(Chore(chore_id="a").model_dump_json(), reason="nobody can do a")
    post.deliver(hands)
    assert (counted(), len(hands.runs)) == ((1, 1), 1)


def test_a_letter_that_fails_again_is_buried_again_and_runs_no_further(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a letter sent back whose worker dies between counting and burying it again
    post.add("a")
    post.deliver(refuse)
    post.send_back()
    batch = post.batch()
    with monkeypatch.context() as dying:
        dying.setattr(post.mail, "bury", die)
        with pytest.raises(Killed):
            post.deliver(refuse, batch)
    assert counted() == (0, 2)
    # When it comes again, twice
    post.wait(batch)
    batch = post.batch()
    post.deliver(hands, batch)
    post.deliver(hands, batch)
    # Then it is only buried
    assert (hands.runs, counted()) == ([], (0, 2))
    assert {reason for _, reason in post.letters()} == {"nobody can do a"}


def test_of_two_letters_sent_back_at_once_one_is_worked_on(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two letters of one work, and the second's worker a moment behind
    post.add("a")
    batch = post.batch()
    post.deliver(refuse, batch)
    post.deliver(refuse, batch)
    assert post.send_back() == 2
    first, second = post.batch()
    reopen = Claims.reopen

    def too_late(*given: Any, **more: Any) -> Claim:
        monkeypatch.setattr(Claims, "reopen", reopen)
        post.deliver(hands, [first])
        return reopen(*given, **more)

    # When
    monkeypatch.setattr(Claims, "reopen", too_late)
    assert post.deliver(hands, [second]) == [second["messageId"]]
    # Then
    assert (len(hands.runs), counted()) == (1, (1, 1))


def test_a_message_of_its_own_does_not_revive_what_was_given_up(post: Post, hands: Hands) -> None:
    post.add("a")
    post.deliver(refuse)
    post.add("a")
    assert post.deliver(hands) == []
    assert (hands.runs, len(post.letters()), counted()) == ([], 2, (0, 1))


def test_a_letter_that_sqs_buried_itself_runs_when_it_is_sent_back(post: Post, hands: Hands) -> None:
    # Given a message that killed its worker each time, so that nothing was ever said of it
    post.add("a")
    for _ in range(CHORES.attempts + 1):
        batch = post.batch()
        with pytest.raises(Killed):
            post.deliver(die, batch)
        post.wait(batch)
    # When it comes once more
    assert post.deliver(hands) == []
    # Then
    assert (len(hands.runs), counted()) == (1, (1, 0))


def test_a_function_that_runs_out_of_time_leaves_the_rest(
    post: Post, hands: Hands, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    # Given a context whose time is over after two messages
    post.add(*"abcd")
    batch = post.batch()
    left = iter([50_000] * 5 + [2_999] * 100)

    class Watch:
        def get_remaining_time_in_millis(self) -> int:
            return 2_999 if len(hands.runs) >= 2 else next(left)

    monkeypatch.setattr("tests.support.queue.Context", lambda _: Watch())
    # When
    failed = post.deliver(hands, batch)
    # Then the rest is as it was, and the log says so
    assert len(hands.runs) == 2
    assert failed == [record["messageId"] for record in batch[2:]]
    assert (counted(), post.left(), post.postponed) == ((2, 0), 2, [])
    assert [line["outcome"] for line in printed.lines()] == ["done", "done", "left", "left"]
    assert printed.lines()[-1]["workId"] == "d"


def test_work_that_took_longer_than_its_lease_and_was_taken_over_is_not_counted_twice(post: Post, hands: Hands) -> None:
    post.add("a")
    batch = post.batch()

    def sleep(chore: Chore, claim: Claim) -> None:
        post.clock.seconds += 60
        post.deliver(hands, batch)
        hands(chore, claim)

    assert post.deliver(sleep, batch) == [batch[0]["messageId"]]
    assert counted() == (1, 0)
    assert len({claim.resource_id for claim in hands.runs}) == 1


def test_poison_that_took_longer_than_its_lease_and_was_taken_over_is_not_counted_twice(post: Post) -> None:
    post.add("a")
    batch = post.batch()

    def sleep(chore: Chore, claim: Claim) -> None:
        post.clock.seconds += 60
        post.deliver(refuse, batch)
        refuse(chore, claim)

    assert post.deliver(sleep, batch) == [batch[0]["messageId"]]
    assert (counted(), len(post.letters())) == ((0, 1), 1)


def test_a_work_is_known_by_its_queue_too(post: Post, hands: Hands) -> None:
    post.add("a")
    coordination_wiring.claims().begin("other/a", ttl_seconds=60)
    post.deliver(hands)
    assert counted() == (1, 0)


def test_each_message_is_one_line_that_follows_its_cause(post: Post, hands: Hands, printed: Printed) -> None:
    # Given
    post.add("a")
    batch = post.batch()
    # When
    post.deliver(hands, batch)
    post.deliver(hands, batch)
    # Then
    first, second = printed.lines()
    assert first["kind"] == second["kind"] == "message"
    for line in (first, second):
        assert (line["queue"], line["workId"], line["requestId"]) == ("chores", "a", "cause of a")
        assert line["messageId"] == batch[0]["messageId"]
        assert line["receives"] == 1
    assert (first["outcome"], second["outcome"]) == ("done", "repeated")
    assert first["messagesDone"] == 1
    # And its whole cost at the store: to claim and to finish
    assert first["storeRoundTrips"] == 2


def test_a_fault_of_ours_is_logged_with_its_traceback_and_its_request(post: Post, printed: Printed) -> None:
    post.add("a")
    post.deliver(break_down)
    fault, line = printed.lines()
    assert (fault["action"], fault["requestId"]) == ("message_failed", "cause of a")
    assert "ZeroDivisionError" in fault["exception"]
    assert line["outcome"] == "again"


def test_what_was_to_be_expected_is_no_traceback(post: Post, printed: Printed) -> None:
    post.add("a")
    post.deliver(no_table)
    (line,) = printed.lines()
    assert (line["outcome"], line["why"]) == ("again", "The yard is locked.")


def test_the_claim_outlives_the_message_and_its_letter(post: Post, hands: Hands) -> None:
    post.add("a")
    post.deliver(hands)
    stands = clients.table("coordination").get("claim#chores/a") or {}
    assert stands["ttl"] - post.clock.seconds >= 2 * 14 * 24 * 3600
    with pytest.raises(StillRunning):
        coordination_wiring.claims().reopen("chores/a", "failed", ttl_seconds=60)
