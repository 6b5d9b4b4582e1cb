"""Attempts: a piece of work is claimed, tried, and then finished, left for another attempt, or dead-lettered.

The claim is under the work's business id, and one transaction finishes the claim and raises the queue's count, so each
piece of work is done and counted once, however often a message is delivered. The claim counts the failed attempts. Only
an attempt that began counts: deliveries by SQS that come to nothing, for lack of time or behind another attempt, use up
no attempt. Work whose every attempt killed its worker is dead-lettered as well.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import time
from typing import NamedTuple

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.claims import Claim
from chalicelib.core.coordination.errors import AlreadyDone, ClaimLost
from chalicelib.core.errors import ServiceError, Unavailable
from chalicelib.core.queueing import wiring
from chalicelib.core.queueing.dead_letters import DeadLetter, id_of
from chalicelib.core.queueing.queues import LONGEST_DELAY_SECONDS, RETENTION_SECONDS, Queue
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.backoff import Backoff, spread

#: A claim outlives every copy of its message: the retention of the queue, of the dead-letter queue, and a day.
_CLAIM_SECONDS = 2 * RETENTION_SECONDS + 24 * 3600
#: The pause before the next attempt, unless the work chose a pause.
BACKOFF = Backoff(first_seconds=2, longest_seconds=LONGEST_DELAY_SECONDS)
#: The pauses of a schedule are lengthened by up to so large a part.
_SPREAD = 0.2
#: So many repeats may come before the schedule's time, if the work asks for that. More would use up all attempts early.
_EARLY_REPEATS = 3

#: The result of a claim whose work was done. The result of work that was given up is a `_GivenUp`.
_DONE, _FAILED = "done", "failed"
_ALL_DIED = "no attempt ended"
#: Characters that SQS does not take as text; a reason may quote any text.
_NO_TEXT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_REASON = 1_000
#: The digits of a work's hash in the id of a dead letter: enough to tell the dead letters of a millisecond apart.
_WORK_DIGITS = 16


class Outcome(StrEnum):
    """The end of an attempt; each is also a metric (``messagesDone`` and so on)."""

    DONE = "done"
    #: The work was done before.
    REPEATED = "repeated"
    #: The work was given up and dead-lettered.
    DEAD = "deadLettered"
    #: The attempt failed; another one follows.
    AGAIN = "again"
    #: Too little time was left for an attempt.
    LEFT = "left"

    @property
    def metric(self) -> str:
        """The outcome as a part of a metric's name."""
        return self[0].upper() + self[1:]

    @property
    def settled(self) -> bool:
        """Whether no attempt follows."""
        return self not in {Outcome.AGAIN, Outcome.LEFT}


class Poison(ServiceError):
    """The work can never succeed."""


class Later(ServiceError):
    """The work cannot be done yet; *after_seconds* says when to try again, if known. *counted*: it was an attempt.

    A queue with a schedule takes a pause that is shorter than the schedule's for the first three repeats alone.
    """

    def __init__(self, detail: str, after_seconds: float | None = None, *, counted: bool = True) -> None:
        super().__init__(detail)
        self.after_seconds, self.counted = after_seconds, counted


class Retry(Exception):
    """The attempt failed. The cause is the work's error; another attempt is due after *after_seconds*."""

    def __init__(self, after_seconds: float) -> None:
        super().__init__(f"another attempt is due in {after_seconds:.1f} s")
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of work of *queue*, known by *work_id*. *body* becomes the dead letter if the work is given up."""

    queue: Queue
    work_id: str
    body: str
    #: The id of the message that brought the work: SQS gives a dead letter that is sent back a new id.
    message_id: str
    #: Whether the work was dead-lettered before, and the message is a dead letter that was sent back.
    sent_back: bool

    @property
    def key(self) -> str:
        """The key of the work's claim."""
        return f"{self.queue.name}/{self.work_id}"


class _GivenUp(NamedTuple):
    """What the claim of work that was given up remembers, so that every later copy of the dead letter is equal."""

    message_id: str
    reason: str
    at_ms: int = 0
    attempts: int | None = None

    @classmethod
    def of(cls, result: str) -> "_GivenUp":
        """Return the inverse of `result`. Claims of earlier versions say neither when nor after how many attempts."""
        head, message_id, reason = result.split(" ", 2)
        _, *more = head.split("/")
        return cls(message_id, reason, *map(int, more))

    @property
    def result(self) -> str:
        """The result of the claim."""
        return f"{_FAILED}/{self.at_ms}/{self.attempts} {self.message_id} {self.reason}"

    def letter(self, piece: Piece) -> DeadLetter:
        """Return the dead letter of *piece*."""
        work = hashlib.sha256(f"{piece.queue.name}/{piece.work_id}".encode()).hexdigest()
        letter_id = id_of(self.at_ms or int(time() * 1000), work[:_WORK_DIGITS])
        return DeadLetter(
            queue=piece.queue.name, id=letter_id, body=piece.body, reason=self.reason, attempts=self.attempts
        )


def attempt(piece: Piece, work: Callable[[Claim], None]) -> Outcome:
    """Do *work* once, unless the piece was done, or was given up and not sent back. Return how the attempt ended.

    After a crash *work* may run again, with `Claim.taken_over`. *work* raises `Poison` to give up at once, and `Later`
    to choose the time of the next attempt.

    Raises:
        Retry: the attempt failed, and another one is due after a pause.
        StillRunning: another attempt holds the claim; this one used up nothing.
    """
    try:
        claim = coordination.claims().begin(piece.key, ttl_seconds=_CLAIM_SECONDS)
    except AlreadyDone as done:
        if done.result == _DONE:
            return Outcome.REPEATED
        given_up = _GivenUp.of(done.result)
        # A dead letter that is sent back gets a new message id. The same id means a second delivery, or a worker that
        # died between counting and dead-lettering: then the work is not to be tried once more.
        if not piece.sent_back or given_up.message_id == piece.message_id:
            wiring.sender().dead_letter(piece.queue, given_up.letter(piece))
            return Outcome.DEAD
        claim = coordination.claims().reopen(piece.key, done.result, ttl_seconds=_CLAIM_SECONDS)
    outcome = run(piece, claim, work)
    return finish(piece, claim) if outcome is None else outcome


def begin_new(pieces: Sequence[Piece]) -> dict[str, Claim]:
    """Claim those of *pieces* that have no claim, in one transaction; return the claims by `Piece.key`.

    `attempt` decides about the others.

    Raises:
        Unavailable: the next delivery of the messages decides.
    """
    return coordination.claims().begin_new([piece.key for piece in pieces], ttl_seconds=_CLAIM_SECONDS)


def run(piece: Piece, claim: Claim, work: Callable[[Claim], None]) -> Outcome | None:
    """Call *work*. Return None if the claim is to be finished, else how the attempt ended.

    Raises:
        Retry: the attempt failed, and another one is due after a pause.
    """
    if claim.failures >= piece.queue.attempts:
        return _dead_letter(piece, claim, f"after {claim.failures} attempts: {_ALL_DIED}", claim.failures)
    try:
        work(claim)
    except Poison as error:
        return _dead_letter(piece, claim, str(error), claim.failures + 1)
    except Exception as error:  # noqa: BLE001 # whatever the work raises, the attempt failed
        return _fail(piece, claim, error)
    return None


def finish(piece: Piece, claim: Claim) -> Outcome:
    """Finish the claim and count the work, in one transaction. Safe to repeat.

    Raises:
        ClaimLost: another attempt has taken over the work.
    """
    coordination.claims().finish(claim, _DONE, also=[coordination.counts().adding(piece.queue.name, "completed")])
    return Outcome.DONE


def finish_new(queue: Queue, claims: Sequence[Claim]) -> bool:
    """Finish *claims* of `begin_new` and count their works, in one transaction.

    Return False if `finish` must decide about each. The transaction may still take effect then: of two writes that
    finish and count the same work, one is refused.
    """
    # One work alone costs the same by `finish`.
    if len(claims) < 2:  # noqa: PLR2004
        return False
    also = [coordination.counts().adding(queue.name, "completed", len(claims))]
    try:
        coordination.claims().finish_new(claims, _DONE, also, ttl_seconds=_CLAIM_SECONDS)
    except (ClaimLost, Unavailable):
        logs.line().count("batchesRefused")
        return False
    return True


def leave(claim: Claim) -> Outcome:
    """End the claim of work that was not tried, for lack of time."""
    coordination.claims().abandon(claim)
    return Outcome.LEFT


def _fail(piece: Piece, claim: Claim, error: Exception) -> Outcome:
    """Count the failed attempt, and dead-letter after the last one.

    Raises:
        Retry: there is an attempt left.
    """
    asked = error if isinstance(error, Later) else None
    attempts = claim.failures + (asked is None or asked.counted)
    if attempts >= piece.queue.attempts:
        if not isinstance(error, ServiceError):
            logs.failed("message_given_up", error)
        return _dead_letter(piece, claim, f"after {attempts} attempts: {_reason(error)}", attempts)
    coordination.claims().abandon(claim, failed=attempts > claim.failures)
    raise Retry(_pause(piece.queue, max(attempts, 1), asked)) from error


def _pause(queue: Queue, failures: int, asked: Later | None) -> float:
    """Return the pause in seconds after *failures* failed attempts."""
    wanted = asked.after_seconds if asked else None
    if not queue.schedule_seconds:
        return BACKOFF.seconds(failures) if wanted is None else wanted
    planned = spread(queue.schedule_seconds[failures - 1], _SPREAD)
    if asked is None or wanted is None:
        return planned
    early = failures <= _EARLY_REPEATS or not asked.counted
    return wanted if early else max(wanted, planned)


def _dead_letter(piece: Piece, claim: Claim, reason: str, attempts: int) -> Outcome:
    """Count the failure with the claim, then dead-letter. After a crash in between, the next attempt dead-letters."""
    reason = _NO_TEXT.sub("?", reason)[:_LONGEST_REASON] or "no reason was given"
    given_up = _GivenUp(piece.message_id, reason, int(time() * 1000), attempts)
    also = [coordination.counts().adding(piece.queue.name, "failed")]
    coordination.claims().finish(claim, given_up.result, also=also)
    logs.line().add(why=reason)
    wiring.sender().dead_letter(piece.queue, given_up.letter(piece))
    return Outcome.DEAD


def _reason(error: Exception) -> str:
    # Only errors of this service have messages that are safe to show.
    return str(error) if isinstance(error, ServiceError) else type(error).__name__
