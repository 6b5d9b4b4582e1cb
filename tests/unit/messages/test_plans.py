"""Choosing and counting messages read the index alone, however many there are: the server explains its plans."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.messages.settings import MessageSettings
from chalicelib.messages.store import ORDER, MessageStore
from infra.local.processes.mongod import Mongod
from tests.support.mongodb_commands import recording_commands
from tests.unit.messages.build import BOB, ROOM, send

#: Fields that the driver adds to a command and `explain` refuses.
_KNOWN = ("aggregate", "pipeline", "cursor", "hint")


@pytest.fixture
def plan(store: MessageStore, mongod: Mongod) -> Callable[[Callable[[MessageStore], object]], dict[str, list[Any]]]:
    """Return the values in the plan of a call's first command, by name, over twenty messages."""
    for _ in range(20):
        send(store)

    def explain(call: Callable[[MessageStore], object]) -> dict[str, list[Any]]:
        with recording_commands(mongod.uri) as (client, sent):
            database = client.get_default_database()
            call(MessageStore(database.messages, MessageSettings(), None))  # type: ignore[arg-type]
            bare = {name: value for name, value in sent.commands[0].items() if name in _KNOWN}
            answer = database.command("explain", bare, verbosity="executionStats")
        found: dict[str, list[Any]] = {}
        for name, value in leaves(answer):
            found.setdefault(name, []).append(value)
        return found

    return explain


@pytest.mark.parametrize("verb", ["choose", "count"])
def test_choosing_and_counting_read_the_index_alone(plan: Any, verb: str) -> None:
    calls = {
        "choose": lambda store: store.choose(BOB.account_id, 0, ROOM),
        "count": lambda store: store.count(BOB.account_id),
    }
    found = plan(calls[verb])
    assert set(found["indexName"]) == {ORDER}
    assert "FETCH" not in found["stage"]
    assert set(found["totalDocsExamined"]) == {0}


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    if isinstance(value, dict):
        yield from ((name, leaf) for name, leaf in value.items() if not isinstance(leaf, (dict, list)))
    for each in inner:
        yield from leaves(each)
