"""Any sequence of writes, against a model: revisions only grow, counters add up, and the last snapshot is final."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pymongo.database import Database

from chalicelib.core.runtime import ids
from chalicelib.progress import wiring
from chalicelib.progress.errors import ProgressCompleted, RevisionConflict
from chalicelib.progress.models import Snapshot, Write
from tests.unit.progress.build import ANN

_COUNTERS = st.sampled_from(["activated", "skipped", "failed"])
_PARTS = st.integers(0, 3)


class Revisions(RuleBasedStateMachine):
    """A job elsewhere that writes absolute values and increments, repeats them, and expects revisions."""

    @initialize(total=st.integers(1, 30))
    def begin(self, total: int) -> None:
        self.job, self.counters = ids.new_id(), dict.fromkeys(["activated", "skipped", "failed"], 0)
        self.used: dict[str, tuple[str, int]] = {}
        self.known: dict[int, Snapshot] = {}
        self.last = self.put({"total": total})

    @rule(counter=_COUNTERS, value=st.integers(0, 20))
    def assign(self, counter: str, value: int) -> None:
        if self.wrote({counter: value}):
            self.counters[counter] = value

    @rule(counter=_COUNTERS, parts=_PARTS)
    def increase(self, counter: str, parts: int) -> None:
        key = f"k{len(self.used)}"
        if self.wrote({"increments": {counter: parts}}, key):
            self.used[key] = (counter, parts)
            self.counters[counter] += parts

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def repeat(self, data: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.used)))
        counter, parts = self.used[key]
        assert self.put({"increments": {counter: parts}}, key) == self.last

    @rule(behind=st.integers(0, 2))
    def expect(self, behind: int) -> None:
        revision = max(0, self.last.revision - behind)
        try:
            self.last = self.put({"msg": f"from {revision}", "revision": revision})
            assert revision == self.known_last
        except RevisionConflict:
            assert revision != self.last.revision
        except ProgressCompleted:
            assert self.last.completed

    @invariant()
    def the_newest_snapshot_is_the_last_write(self) -> None:
        if not hasattr(self, "job"):
            return
        newest = wiring.store().get(self.job)
        assert newest == self.last
        assert (newest.activated, newest.skipped, newest.failed) == tuple(self.counters.values())
        assert self.known.setdefault(newest.revision, newest) == newest
        assert newest.revision == max(self.known)
        assert newest.completed == (sum(self.counters.values()) >= newest.total)
        self.known_last = newest.revision

    def wrote(self, body: dict[str, Any], key: str | None = None) -> bool:
        """Write, and return whether it was written: not if the last snapshot is final."""
        try:
            written = self.put(body, key)
        except ProgressCompleted:
            assert self.last.completed
            return False
        assert (written.revision, self.last.completed) == (self.last.revision + 1, False)
        self.last = written
        return True

    def put(self, body: dict[str, Any], key: str | None = None) -> Snapshot:
        return wiring.store().put(self.job, ANN, Write.model_validate(body), key=key)


def test_revisions_only_grow_whatever_is_written(mongodb: Database[dict[str, Any]]) -> None:
    run_state_machine_as_test(Revisions, settings=settings(max_examples=30, stateful_step_count=20, deadline=None))
