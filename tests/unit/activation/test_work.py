"""Chunks: each lead is settled and counted once, also when workers die, and activations take turns."""

from functools import partial
from typing import Any

import pytest

from chalicelib import users as users_slice
from chalicelib.activation import wiring, work
from chalicelib.activation.models import CHUNK, Chunk, State
from chalicelib.core.stores import clients
from chalicelib.core.web.roles import Role
from chalicelib.users.index import key
from chalicelib.users.store import Revocation, UserStore
from tests.support.concurrency import race
from tests.unit.activation.conftest import Steps


def addresses(number: int, letter: str = "a") -> list[str]:
    return [f"{letter}{place}@example.org" for place in range(number)]


def claimed(lease_ms: int = 30_000) -> Chunk:
    chunk = wiring.store().next_chunk(lease_ms)
    assert chunk
    return chunk


def test_each_lead_becomes_a_user_of_role_user_alone(steps: Steps) -> None:
    steps.begin("Ann@Example.org", "_o'brien@example.org")
    steps.run()
    assert steps.counts() == {"activated": 2, "emailsSent": 2, "completed": True}
    for name in ("ann@example.org", "_o'brien@example.org"):
        user = users_slice.current(name)
        assert user
        assert user.roles == frozenset({Role.USER})


def test_leads_of_one_address_are_one_lead(steps: Steps) -> None:
    assert steps.begin("ann@example.org", "ANN@example.org ", "ben@example.org").total == 2
    steps.run()
    assert steps.counts() == {"activated": 2, "emailsSent": 2, "completed": True}


def test_an_existing_user_is_skipped_and_unchanged(steps: Steps, users: UserStore) -> None:
    before = users.add("ann@example.org", "a hash", [Role.ADMIN])
    steps.begin("ann@example.org")
    steps.run()
    assert steps.counts() == {"skipped": 1, "completed": True}
    assert steps.leads() == {"ann@example.org": ("skipped", None, "user-exists")}
    assert users.find("ann@example.org") == before


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("nobody", "address-invalid: "),
        ("a/b@example.org", "address-not-a-username: "),
        ("ä@example.org", "address-not"),
    ],
)
def test_an_address_that_cannot_be_a_username_fails_with_why(steps: Steps, email: str, reason: str) -> None:
    steps.begin(email, "ann@example.org")
    steps.run()
    assert steps.counts() == {"activated": 1, "failed": 1, "emailsSent": 1, "completed": True}
    outcome, mail, why = steps.leads()[email]
    assert (outcome, mail) == ("failed", None)
    assert str(why).startswith(reason)


def test_a_user_being_deleted_fails_the_lead(steps: Steps, users: UserStore) -> None:
    users.add("ann@example.org", "a hash", [Role.USER])
    gone = users.remove("ann@example.org")
    steps.begin("ann@example.org")
    steps.run()
    assert steps.counts() == {"failed": 1, "completed": True}
    users.complete_revocation(Revocation("ann@example.org", gone.epoch, gone=True))


def test_a_user_remembers_the_lead_that_made_it(steps: Steps) -> None:
    steps.begin("ann@example.org", session_id="import-7")
    work.turn()
    assert (clients.table("users").get(key("ann@example.org")) or {})["madeBy"] == "import-7/00000"


def test_a_chunk_that_comes_again_counts_nothing_twice(steps: Steps) -> None:
    steps.begin(*addresses(3))
    chunk = claimed()
    assert work.work(chunk)
    assert not work.work(chunk)
    assert steps.counts() == {"activated": 3, "emailsPending": 3}


def test_racing_workers_of_a_chunk_count_it_once(steps: Steps) -> None:
    steps.begin(*addresses(20))
    # Given a worker whose claim has lapsed, and those who took the chunk over
    chunks = [claimed(lease_ms=-1) for _ in range(4)]
    assert len({chunk.claim for chunk in chunks}) == 4
    # When
    results = race([partial(work.work, chunk) for chunk in chunks])
    # Then
    assert sorted(result for result in results if isinstance(result, bool)) == [False, False, False, True]
    assert steps.counts() == {"activated": 20, "emailsPending": 20}


def test_users_of_a_worker_that_died_are_activated_not_skipped(steps: Steps) -> None:
    steps.begin(*addresses(3))
    chunk = claimed(lease_ms=-1)
    # The worker dies between the users and the transaction.
    users_slice.enrol({lead.email: lead.made_by for lead in chunk.leads})
    steps.run()
    assert steps.counts() == {"activated": 3, "emailsSent": 3, "completed": True}


def test_two_activations_of_one_lead_make_one_user(steps: Steps) -> None:
    steps.begin(*addresses(30), session_id="s-1")
    steps.begin(*addresses(30), session_id="s-2")
    race([partial(work.work, chunk) for chunk in (claimed(), claimed())])
    first, second = steps.counts("s-1"), steps.counts("s-2")
    assert first.get("activated", 0) + second.get("activated", 0) == 30
    assert first.get("skipped", 0) + second.get("skipped", 0) == 30


def test_a_small_activation_is_not_behind_a_large_one(steps: Steps) -> None:
    steps.begin(*addresses(CHUNK * 6), session_id="large")
    steps.begin(*addresses(10, "b"), session_id="small")
    turns = [claimed().session_id for _ in range(4)]
    assert turns[:2] in (["large", "small"], ["small", "large"])
    assert turns[2:] == ["large", "large"]


def test_a_paused_activation_begins_no_lead(steps: Steps) -> None:
    steps.begin(*addresses(CHUNK + 1))
    begun = claimed()
    wiring.store().change("s-1", State.PAUSED)
    assert work.turn() == 0
    # The chunk that was begun is completed.
    assert work.work(begun)
    assert steps.counts() == {"activated": CHUNK, "emailsPending": CHUNK}
    wiring.store().change("s-1", State.RUNNING)
    steps.run()
    assert steps.counts() == {"activated": CHUNK + 1, "emailsSent": CHUNK + 1, "completed": True}


def test_a_dead_workers_chunk_of_a_paused_activation_is_completed(steps: Steps) -> None:
    steps.begin(*addresses(3))
    claimed(lease_ms=-1)
    wiring.store().change("s-1", State.PAUSED)
    assert work.turn() == 1
    assert steps.counts() == {"activated": 3, "emailsPending": 3}


def test_a_cancelled_activation_completes_what_was_begun(steps: Steps) -> None:
    steps.begin(*addresses(CHUNK * 3))
    begun = claimed()
    wiring.store().cancel("s-1")
    assert "completed" not in steps.counts()
    assert work.work(begun)
    steps.run()
    assert steps.counts() == {"activated": CHUNK, "emailsSent": CHUNK, "completed": True}


def test_an_activation_cancelled_before_its_beginning_is_over(steps: Steps) -> None:
    steps.begin(*addresses(3))
    assert wiring.store().cancel("s-1").completed
    assert work.turn() == 0
    assert steps.counts() == {"completed": True}


def test_an_activation_whose_progress_expired_still_settles(steps: Steps, mongodb: Any) -> None:
    steps.begin(*addresses(3))
    mongodb.progress.delete_many({})
    steps.run()
    assert {outcome for outcome, _, _ in steps.leads().values()} == {"activated"}
