from typing import Any

from pymongo.database import Database

from chalicelib.core.web.roles import Caller, Role
from chalicelib.sockets import wiring

_ANN = Caller(username="ann", roles=frozenset({Role.USER}), session_id="s", account_id="account-of-ann")


def test_connections_are_found_by_the_topics_that_they_follow(mongodb: Database[dict[str, Any]]) -> None:
    store = wiring.store()
    for connection_id, topics in (("a", ["inbox", "progress:1"]), ("b", ["progress:1", "progress:2"]), ("c", [])):
        store.add(connection_id, _ANN)
        store.open(connection_id, topics)
    assert {held.connection_id for held in store.following("progress:1")} == {"a", "b"}
    assert [store.followers(topic) for topic in ("progress:1", "progress:2", "progress:3")] == [2, 1, 0]
    assert sorted(store.followed("progress:")) == ["progress:1", "progress:2"]
