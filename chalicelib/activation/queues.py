"""The queues of activation. The work waits in MongoDB; a message only says that there is work."""

from chalicelib.core.queueing.queues import Message, Queue

#: Makes the users of chunks. A worker serves all activations in turn.
ACTIVATION = Queue("activation", visibility_seconds=50, attempts=12, batch_size=1, concurrency=4, timeout_seconds=45)
#: Sends mails, within a rate that all workers share.
MAIL = Queue("mail", visibility_seconds=50, attempts=12, batch_size=1, concurrency=2, timeout_seconds=45)


class Turn(Message):
    """There is work: chunks of leads, or mails. A turn too many finds none, and is harmless."""
