"""Progress never steps back, counts each part once, and shows its last snapshot to every follower.

Shown by killing the functions that take reports, serve streams and push, while a job elsewhere reports; and by killing
the workers of an activation right after a chunk was counted, so that the chunk's message comes again.
"""

import random
from collections import Counter
from functools import partial
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.conformance.conftest import Figure
from tests.faults.scale import times
from tests.support.client import Client, json_of, patiently
from tests.support.kill import kill, kill_at_change
from tests.support.stack import NewPerson
from tests.support.waiting import eventually
from tests.support.watchers import WAYS, Watcher
from tests.support.workloads.progress import Workload

pytestmark = pytest.mark.stack

#: A killed worker's message comes again after 50 s.
_PATIENCE_SECONDS = 600
#: Leads of one activation: chunks for more workers than one.
_LEADS = 150


def test_followers_of_a_job_see_no_step_back_whichever_function_dies(
    stack: Stack, person: NewPerson, figure: Figure
) -> None:
    workload, rng, kills = Workload(person("service").client), random.Random(1), 0
    for watcher in workload.watchers:
        assert watcher.began.wait(_PATIENCE_SECONDS), f"{watcher.name} saw nothing: {watcher.error!r}"
    for _ in range(times(100)):
        workload.act(rng)
        kills += kill(stack, rng.choice(("api", "events", "progress")))
    last = workload.check()
    figure("functions of progress killed", f"{kills}; {last['revision']} revisions, none lower for any of 4 followers")


def test_a_chunk_that_comes_again_counts_nothing_twice(
    stack: Stack, person: NewPerson, database: Database[dict[str, Any]], figure: Figure
) -> None:
    officer, kills, inserted = person("officer").client, 0, {"operationType": "insert"}
    for number in range(times(10)):
        session_id = f"twice-{number}-{random.getrandbits(32):x}"
        leads = [{"email": f"{session_id}-{place}@example.org"} for place in range(_LEADS)]
        body = {"sessionId": session_id, "leads": [*leads, {"email": "nobody"}]}
        begin = partial(_begin, officer, body)
        kills += kill_at_change(stack, "activation", database.leads, inserted, begin)
        watchers = [Watcher(way, officer, session_id) for way in WAYS]
        find = partial(database.progress.find_one, {"_id": session_id, "completed": True})
        progress = eventually(find, _PATIENCE_SECONDS, every_seconds=0.5)
        outcomes = Counter(lead["outcome"] for lead in database.leads.find({"session": session_id}))
        counted = {name: progress[name] for name in ("activated", "failed", "skipped")}
        assert counted == {"activated": _LEADS, "failed": 1, "skipped": 0} == {"skipped": 0, **outcomes}
        last = json_of(patiently(partial(officer.get, f"/activation/progress/{session_id}")))["data"]
        for watcher in watchers:
            watcher.check(last, _PATIENCE_SECONDS)
    figure("workers of activations killed after a chunk", f"{kills}; every lead counted once")


def _begin(officer: Client, body: dict[str, Any]) -> None:
    json_of(patiently(partial(officer.post, "/activation", body)), 202)
