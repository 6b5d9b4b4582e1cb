"""Batches: the new messages of a batch are claimed in one transaction, worked on in turn, and finished in another.

For queues with ``finish="batch"``. A worker that dies in the middle leaves every claim of the batch unfinished, and
each handler that returned runs again. Messages that came before are left out: a message that kills its workers is alone
from its second attempt, and no neighbour's attempts are used up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from pydantic import ValidationError

from chalicelib.core.coordination.claims import Claim
from chalicelib.core.errors import Unavailable
from chalicelib.core.queueing import attempts
from chalicelib.core.queueing.attempts import Outcome, Piece
from chalicelib.core.queueing.delivery import (
    ENOUGH_MS,
    Ended,
    Handle,
    Kind,
    Record,
    Together,
    describe,
    log,
    note,
    outcome_of,
    piece,
)
from chalicelib.core.queueing.queues import Queue
from chalicelib.core.runtime import deadline, logs, settings
from chalicelib.core.runtime.logs import LogRecord


@dataclass(frozen=True, slots=True)
class _Member(Generic[Kind]):
    """A message of the batch, with the log record that is printed at the end."""

    record: Record
    message: Kind
    piece: Piece
    line: LogRecord


@dataclass(frozen=True, slots=True)
class Batches(Generic[Kind]):
    """Works on the new messages of a batch together; the arguments are those of `consumer.run_batch`."""

    queue: Queue
    kind: type[Kind]
    handle: Handle[Kind]
    ended: Ended[Kind]
    together: Together[Kind]

    def work(self, records: Sequence[Record]) -> dict[str, bool]:
        """Work on the new messages among *records*; return by message id whether each is settled.

        Left out, for single attempts: messages that were delivered before, copies, unreadable messages, and all
        messages if fewer than two are new.
        """
        members = self._new(records)
        # A single message costs less outside a transaction.
        if len(members) < 2:  # noqa: PLR2004
            return {}
        with logs.invocation("batch") as line:
            line.add(queue=self.queue.name)
            outcomes = self._outcomes(members)
            line.count("messagesInBatch", len(outcomes))
        for key, outcome in outcomes.items():
            note(members[key].line, outcome)
            logs.write(members[key].line)
        return {members[key].record.message_id: outcome.settled for key, outcome in outcomes.items()}

    def _new(self, records: Sequence[Record]) -> dict[str, _Member[Kind]]:
        """Return the members by the key of their work."""
        members: dict[str, _Member[Kind]] = {}
        for record in records:
            if record.receives == 1 and not record.sent_back and (member := self._member(record)):
                members.setdefault(member.piece.key, member)
        return members

    def _member(self, record: Record) -> _Member[Kind] | None:
        try:
            message = self.kind.model_validate_json(record.body)
        except ValidationError:
            return None
        line = LogRecord("message")
        describe(line, record, self.queue)
        line.add(requestId=message.caused_by, workId=message.work_id)
        return _Member(record, message, piece(record, self.queue, message.work_id), line)

    def _outcomes(self, members: Mapping[str, _Member[Kind]]) -> dict[str, Outcome]:
        """Return the outcome of each member that was begun, by key."""
        # The leases begin together, and no handler may begin at the end of its lease.
        with deadline.at_most(settings.load(settings.CoordinationSettings).claim_lease_ms):
            try:
                claims = attempts.begin_new([member.piece for member in members.values()])
            except Unavailable as error:
                return {key: self._postpone(member, error) for key, member in members.items()}
            self._prepare([members[key].message for key in claims])
            tried = {key: self._try(members[key], claim) for key, claim in claims.items()}
        worked = [key for key, outcome in tried.items() if outcome is None]
        finished = attempts.finish_new(self.queue, [claims[key] for key in worked])
        ends = {key: self._finish(members[key], claims[key], finished=finished) for key in worked}
        return {key: ends[key] if outcome is None else outcome for key, outcome in tried.items()}

    def _prepare(self, messages: Sequence[Kind]) -> None:
        try:
            self.together(messages)
        except Exception as error:  # noqa: BLE001 # one message's fault must not keep the others back
            log(error)

    def _postpone(self, member: _Member[Kind], error: Unavailable) -> Outcome:
        def fail(_: Record) -> Outcome:
            raise error

        with logs.resume(member.line):
            return outcome_of(member.record, self.queue, fail)

    def _try(self, member: _Member[Kind], claim: Claim) -> Outcome | None:
        """Call the handler. Return None if the claim is to be finished."""

        def work(_: Record) -> Outcome | None:
            if not deadline.allows(ENOUGH_MS):
                return attempts.leave(claim)
            outcome = attempts.run(member.piece, claim, lambda claim: self.handle(member.message, claim))
            if outcome is not None:
                self.ended(member.message, outcome)
            return outcome

        with logs.resume(member.line):
            return outcome_of(member.record, self.queue, work)

    def _finish(self, member: _Member[Kind], claim: Claim, *, finished: bool) -> Outcome:
        """End a message whose handler returned. If the batch was not *finished*, its own transaction finishes it."""

        def work(_: Record) -> Outcome:
            if not finished:
                attempts.finish(member.piece, claim)
            self.ended(member.message, Outcome.DONE)
            return Outcome.DONE

        with logs.resume(member.line):
            return outcome_of(member.record, self.queue, work)
