"""The actions of this slice: ``ping``, and ``subscribe``, which begins to follow topics."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from chalicelib.core.web.frames import Action, Connection, Event, Frame, Topic, pinged, topic_named
from chalicelib.sockets import wiring
from chalicelib.sockets.delivery import answer
from chalicelib.sockets.errors import UnknownTopic

TopicName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Subscribe(Frame):
    """Request to follow topics, beside those that the connection follows already."""

    topics: Annotated[list[TopicName], Field(min_length=1, max_length=20)]


def ping(connection: Connection, _frame: Frame) -> Sequence[Event]:
    """Answer ``pong``, and the events that slices add at a ping."""
    return [{"event": "pong"}, *pinged(connection)]


def subscribe(connection: Connection, frame: Subscribe) -> Event | None:
    """Follow the topics, all or none. Safe to repeat. Pushes reach the connection from now on.

    The snapshots are sent before the subscription, so that no event comes before them, and read again after it. If a
    topic changed in between, the new snapshots are the answer: they may repeat what an event tells, and miss nothing.

    Raises:
        UnknownTopic, Forbidden, NotFound: no topic of the frame is followed.
    """
    topics = {name: _topic(name) for name in frame.topics}
    for name, topic in topics.items():
        topic.authorise(connection, name)
    before = _snapshots(connection, topics)
    answer(connection.connection_id, _subscribed(before), frame.id)
    wiring.store().open(connection.connection_id, topics)
    after = _snapshots(connection, topics)
    return None if after == before else _subscribed(after)


def _topic(name: str) -> Topic:
    if (topic := topic_named(name)) is None:
        raise UnknownTopic
    return topic


def _snapshots(connection: Connection, topics: Mapping[str, Topic]) -> list[Mapping[str, Any]]:
    return [{"topic": name, **topic.snapshot(connection, name)} for name, topic in topics.items()]


def _subscribed(snapshots: Sequence[Mapping[str, Any]]) -> Event:
    return {"event": "subscribed", "snapshots": snapshots}


ACTIONS = (Action("ping", Frame, ping), Action("subscribe", Subscribe, subscribe))
