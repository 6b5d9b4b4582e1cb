"""Records in any order of events: writers, workers that annotate, stale versions, lost answers, late copies.

The invariants are checked on the stored item after every step.
"""

from dataclasses import replace
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from chalicelib.core.errors import Unavailable
from chalicelib.core.records.codec import record_of
from chalicelib.core.records.errors import NotInThisState, RecordExists, RecordNotFound, VersionConflict
from chalicelib.core.records.models import Change, Doc, Record, key
from chalicelib.core.records.store import Records
from chalicelib.core.stores.attributes import Item, to_attributes
from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import Fate, FaultyNetwork, explore
from tests.unit.conftest import STAGE
from tests.unit.core.records.build import NOTE

NAME = f"holdfast-{STAGE}-records"
KIND = NOTE.name
#: A table is shared by all examples, and no record is used by two.
EXAMPLES = count()

FATES = st.sampled_from([[], [], *([fate] for fate in Fate)])
#: How many versions a writer is behind; None means any version.
BEHIND = st.sampled_from([0, 0, 0, 1, 2, -1, None])


class Machine(RuleBasedStateMachine):
    """One record. *states* lists its expected states, write by write; each operation's id marks its writes."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.network = FaultyNetwork(client)
        self.id = f"machine-{next(EXAMPLES)}"
        self.records = Records(Table(self.network, NAME), lambda _: None)
        self.states: list[Record] = []
        #: The operation of the last annotation.
        self.annotated = ""
        self.operations = count()
        #: Verb, expected version (None means any) and fields of each operation.
        self.wanted: dict[str, tuple[str, int | None, Doc]] = {}
        #: The last operation, for `repeat`.
        self.last = ""

    # --- steps of writers

    @rule(fates=FATES)
    def create(self, fates: list[Fate]) -> None:
        self.do("create", None, {"made": next(self.operations)}, fates)

    @rule(behind=BEHIND, field=st.sampled_from(["a", "b"]), fates=FATES)
    def commit(self, behind: int | None, field: str, fates: list[Fate]) -> None:
        self.do("commit", self.expected(behind), {field: next(self.operations)}, fates)

    @rule(behind=BEHIND, fates=FATES)
    def remove(self, behind: int | None, fates: list[Fate]) -> None:
        self.do("remove", self.expected(behind), {}, fates)

    @rule(field=st.sampled_from(["a", "text"]), fates=FATES)
    def annotate(self, field: str, fates: list[Fate]) -> None:
        self.do("annotate", None, {field: next(self.operations)}, fates)

    @precondition(lambda self: self.states and not self.states[-1].revision)
    @rule()
    def an_earlier_release_wrote_it(self) -> None:
        """Items of an earlier release have no map of annotations."""
        change = {"Key": to_attributes({"pk": key(KIND, self.id)}), "UpdateExpression": "REMOVE annotations"}
        self.network.client.update_item(TableName=NAME, **change)

    @precondition(lambda self: self.last)
    @rule(fates=FATES)
    def repeat(self, fates: list[Fate]) -> None:
        """A writer without an answer repeats the call under the same operation."""
        self.ask(self.last, fates)

    @precondition(lambda self: self.network.underway)
    @rule()
    def a_late_request_arrives(self) -> None:
        operation = self.network.deliver()
        self.look(operation)

    # --- expectations

    def do(self, verb: str, expected: int | None, fields: Doc, fates: list[Fate]) -> None:
        operation = f"{self.id}-{len(self.wanted)}"
        self.wanted[operation] = (verb, expected, fields)
        self.last = operation
        self.ask(operation, fates)

    def ask(self, operation: str, fates: list[Fate]) -> None:
        before = self.current()
        try:
            with self.network.send(operation, fates):
                record = self.send(operation)
        except Unavailable:
            assert {Fate.LOST, Fate.LATE} & set(fates)
            self.look(operation)
        except (RecordExists, RecordNotFound, VersionConflict, NotInThisState) as refusal:
            assert not self.may(operation, before)
            self.judge(operation, refusal, before)
            self.look(operation)
            assert self.current() == before
        else:
            self.look(operation)
            assert record == self.current()
            # The operation took effect now or before. Only a create may have been followed by edits.
            assert operation in {record.operation, record.made, self.annotated}

    def send(self, operation: str) -> Record:
        verb, expected, fields = self.wanted[operation]
        if verb == "create":
            return self.records.create(KIND, self.id, fields, by=operation, operation=operation)
        if verb == "remove":
            return self.records.remove(KIND, self.id, expected, by=operation, operation=operation)
        if verb == "annotate":
            return self.records.annotate(KIND, self.id, fields, operation=operation)
        return self.records.commit(KIND, Change(self.id, expected, fields), by=operation, operation=operation)

    def may(self, operation: str, before: Record | None) -> bool:
        """Return whether the operation is legal in the state *before*."""
        verb, expected, _ = self.wanted[operation]
        if verb == "create":
            return before is None or (before.deleted and before.made != operation)
        if before is None or before.deleted:
            return False
        if verb == "annotate":
            return self.annotated != operation
        return before.operation != operation if expected is None else expected == before.version

    def judge(self, operation: str, refusal: Exception, before: Record | None) -> None:
        """Check that the refusal carries the true current state."""
        if self.wanted[operation][0] == "create":
            assert isinstance(refusal, RecordExists)
            assert refusal.current == before
        elif before is None or before.deleted:
            assert isinstance(refusal, RecordNotFound)
        else:
            assert isinstance(refusal, VersionConflict)
            assert refusal.current == before

    def look(self, operation: str) -> None:
        """Read the item, and check that *operation* may have made its new state."""
        before, item = self.current(), self.item()
        after = record_of(item) if item else None
        if after == before:
            return
        assert after is not None
        # Each write raises the sequence by one, and only from a state in which the write is legal.
        assert after.sequence == len(self.states) + 1
        assert self.may(operation, before)
        if self.wanted[operation][0] == "annotate":
            self.look_at_annotation(operation, before, after)
        else:
            self.look_at_version(operation, before, after)
        self.states.append(after)

    def look_at_annotation(self, operation: str, before: Record | None, after: Record) -> None:
        """Check that only the annotations and their count have changed."""
        assert before is not None
        fields = self.wanted[operation][2]
        assert after == replace(before, annotations={**before.annotations, **fields}, revision=before.revision + 1)
        self.annotated = operation

    def look_at_version(self, operation: str, before: Record | None, after: Record) -> None:
        """Check that version and document changed; an edit keeps the annotations, a create or removal clears them."""
        assert after.version == (before.version if before else 0) + 1
        assert after.revision == (before.revision if before else 0)
        assert after.operation == after.updated_by == operation
        verb, _, fields = self.wanted[operation]
        assert after.annotations == (before.annotations if before and verb == "commit" else {})
        kept = before.doc if before and verb == "commit" else {}
        assert after.doc == {**kept, **fields}
        assert after.deleted == (verb == "remove")
        assert after.created == (verb == "create")
        if verb != "create":
            assert before is not None
            assert (after.made, after.created_by, after.created_at) == (
                before.made,
                before.created_by,
                before.created_at,
            )

    def expected(self, behind: int | None) -> int | None:
        """Return the version expected by a writer who is *behind*."""
        current = self.current()
        return None if behind is None else max(1, (current.version if current else 0) - behind)

    def current(self) -> Record | None:
        return self.states[-1] if self.states else None

    def item(self) -> Item | None:
        return self.network.look(NAME, key(KIND, self.id))


def test_no_order_of_events_loses_a_version_or_makes_one_twice(dynamodb: Any) -> None:
    explore(lambda: Machine(dynamodb), examples=60, steps=30)
