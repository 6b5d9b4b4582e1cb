"""The queue of messages that wait for MongoDB."""

from chalicelib.core.models import Id
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.runtime.accounts import Account
from chalicelib.messages.models import NewMessage

#: Messages of callers with API keys, sent while MongoDB was down. A message is stored once under its id.
POST = Queue(
    "post", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50, finish="batch"
)


class Posted(Message):
    """A message to store. Holds the whole message, as the database that would hold it is down."""

    message_id: Id
    sender: str
    sender_account: str
    receiver_account: str
    new: NewMessage

    @property
    def work_id(self) -> str:
        """The id of the message."""
        return self.message_id

    @property
    def people(self) -> tuple[Account, Account]:
        """Sender and receiver."""
        return Account(self.sender, self.sender_account), Account(self.new.to, self.receiver_account)
