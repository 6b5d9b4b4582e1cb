"""Workers are killed while they work on messages: each work has one effect, is counted once, and ends somewhere."""

import os
import random
import signal
from contextlib import suppress
from time import monotonic, sleep

import pytest

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.extra_worker import Scratch, deployed
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: Where a worker is killed that does its work, and one that gives it up.
_WORKING, _GIVING_UP = ("before", "after", "counted"), ("before", "counted", "buried")
#: The last message comes again after its visibility timeout, and a busy machine is slow.
_DEADLINE_SECONDS = 120


def _settled(scratch: Scratch, works: int) -> None:
    """Return when every work is counted and no message is left."""
    eventually(lambda: sum(scratch.counted()) >= works, _DEADLINE_SECONDS + works)
    eventually(lambda: scratch.mail.depth(scratch.queue).pending == 0, _DEADLINE_SECONDS)
    eventually(lambda: scratch.mail.depth(scratch.queue).processing == 0, _DEADLINE_SECONDS)


def test_a_worker_killed_at_any_step_leaves_one_effect_and_one_count(stack: Stack, figure: Figure) -> None:
    # Given works whose first worker is killed at each step in turn, two copies of each
    kills = times(200)
    began = monotonic()
    with deployed(stack, visibility_seconds=10, timeout_seconds=10, batch_size=2) as scratch:
        for number in range(kills):
            for _ in range(2):
                scratch.send(f"work-{number}", dies=_WORKING[number % 3])
        poisoned = max(3, kills // 4)
        for number in range(poisoned):
            scratch.send(f"poison-{number}", dies=_GIVING_UP[number % 3], poison=True)
        # When all is settled
        _settled(scratch, kills + poisoned)
        # Then
        assert scratch.counted() == (kills, poisoned)
        assert scratch.effects() == {f"work-{number}": 1 for number in range(kills)}
        box = scratch.box
        with box.held(60):
            bodies, reasons = [letter.body for letter in box.letters], {letter.reason for letter in box.letters}
        assert reasons == {f"poison-{number} is poison" for number in range(poisoned)}
        # A letter may be there twice: its worker died before SQS heard that the message was done with.
        assert poisoned <= len(bodies) <= 2 * poisoned
        scratch.box.purge()
    figure("workers killed at a step", f"{kills + poisoned}, all works settled after {monotonic() - began:.0f} s")


def test_workers_killed_at_any_moment_leave_one_effect_and_one_count(stack: Stack, figure: Figure) -> None:
    # Given works that take their time
    kills, works, rng = times(100), times(400), random.Random(3)
    with deployed(stack, visibility_seconds=10, timeout_seconds=10, batch_size=5) as scratch:
        for number in range(works):
            scratch.send(f"work-{number}", seconds=0.05)
        # When one of their workers is killed every now and then
        killed, deadline = 0, monotonic() + _DEADLINE_SECONDS + kills
        while killed < kills and monotonic() < deadline and sum(scratch.counted()) < works:
            killed += _killed(stack, scratch, rng)
            # No moment is better than another: this is the accident's own time.
            sleep(rng.uniform(0.1, 0.6))
        _settled(scratch, works)
        # Then
        assert scratch.counted() == (works, 0)
        assert scratch.effects() == {f"work-{number}": 1 for number in range(works)}
        assert scratch.mail.depth(scratch.queue).dead == 0
    assert killed > 0
    figure("workers killed at a moment", f"{killed}, while {works} messages were worked on")


def _killed(stack: Stack, scratch: Scratch, rng: random.Random) -> int:
    """Kill one worker, if there is one; return how many."""
    workers = stack.workers(scratch.function)
    if not workers:
        return 0
    with suppress(ProcessLookupError):
        os.kill(rng.choice(workers), signal.SIGKILL)
    return 1
