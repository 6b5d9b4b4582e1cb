"""Redrive and purge of stored dead letters, a bounded number at once.

A dead letter is sent back with its reason. The reason tells the worker that the work was given up before and is to be
tried once more.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from chalicelib.core.queueing.dead_letters import DeadLetter, DeadLetters
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.queueing.sender import Sender

#: The number of messages that one call to SQS takes.
_AT_ONCE = 10
#: Called with the number of dead letters of each step; returns whether to go on.
GoOn = Callable[[int], bool]


class Handled(NamedTuple):
    """The number of dead letters that were sent back or deleted, and whether there may be more."""

    number: int
    more: bool


def _always(_: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Redrive:
    """Sends back or deletes the dead letters of *queue*."""

    letters: DeadLetters
    sender: Sender
    queue: Queue

    def send_back(self, chosen: Iterable[DeadLetter], go_on: GoOn = _always) -> Handled:
        """Send *chosen* back. If the process dies half-way, some are in both places; their work is still done once."""

        def step(letters: Sequence[DeadLetter]) -> None:
            self.sender.send_back(self.queue, letters)
            self.letters.remove(letters)

        return _in_steps(chosen, step, go_on)

    def send_all_back(self, go_on: GoOn = _always) -> Handled:
        """Send back the dead letters that are there at the call. One that dies again meanwhile stays."""
        return self.send_back(self.letters.each(self.queue.name), go_on)

    def purge(self, go_on: GoOn = _always) -> Handled:
        """Delete the dead letters that are there at the call."""
        return _in_steps(self.letters.each(self.queue.name), self.letters.remove, go_on)


def _in_steps(letters: Iterable[DeadLetter], step: Callable[[Sequence[DeadLetter]], None], go_on: GoOn) -> Handled:
    number, steps = 0, _steps(letters)
    for some in steps:
        step(some)
        number += len(some)
        if not go_on(len(some)):
            return Handled(number, more=next(steps, None) is not None)
    return Handled(number, more=False)


def _steps(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    remaining = iter(letters)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some
