"""The messages of lanes: "this lane has work". The work itself waits in MongoDB."""

from chalicelib.core.queueing.queues import Message


class Wake(Message):
    """A lane has work. As a dead letter: the entry that was given up, which a redrive puts back into its outbox."""

    owner: str
    lane: str
    document_id: str | None = None
    effect: str | None = None
