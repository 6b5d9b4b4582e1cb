"""The queues of messages that wait for MongoDB, and of notifications."""

from chalicelib.core.models import Id
from chalicelib.core.queueing.queues import Message, Queue
from chalicelib.core.runtime.accounts import Account
from chalicelib.messages.models import NewMessage

#: Messages of callers with API keys, sent while MongoDB was down. A message is stored once under its id.
POST = Queue(
    "post", visibility_seconds=60, attempts=12, batch_size=10, concurrency=4, timeout_seconds=50, finish="batch"
)
#: Notifications of receivers without a connection. A repeat would notify a person again.
NOTICE = Queue(
    "notice", visibility_seconds=60, attempts=12, batch_size=10, concurrency=2, timeout_seconds=50, pushes=True
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


class Notice(Message):
    """A notification of a message."""

    message_id: Id
    username: str
    account_id: str

    @classmethod
    def of(cls, receiver: Account, message_id: str) -> "Notice":
        """Return the notice of *message_id* for *receiver*."""
        return cls(message_id=message_id, username=receiver.username, account_id=receiver.account_id)

    @property
    def work_id(self) -> str:
        """The id of the message: a receiver is notified of a message once."""
        return self.message_id

    @property
    def receiver(self) -> Account:
        """The receiver."""
        return Account(self.username, self.account_id)
