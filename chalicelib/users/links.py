"""Links that set a password: a token ``hfp_<user>.<secret>``, of which the user's item holds a hash and an end.

A user has at most one valid token. A new token, a use, and every other change of the password end the token before.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from time import time

from chalicelib.core.runtime import ids
from chalicelib.core.stores.attributes import Item
from chalicelib.core.stores.dynamodb import ConditionFailed, Table
from chalicelib.users import enrolment
from chalicelib.users.errors import LinkInvalid
from chalicelib.users.index import key
from chalicelib.users.keyring import account_id, user
from chalicelib.users.models import User

PREFIX = "hfp_"
#: The attributes of a token. `store` removes both with every change of the password.
STORED = DIGEST, UNTIL = "linkDigest", "linkUntil"
_SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{2,340})\.[A-Za-z0-9_-]{43}")


class PasswordLinks:
    """Tokens, each valid once within *hours*. *now* is a clock that all processes share, in seconds."""

    def __init__(self, table: Table, hours: int, *, now: Callable[[], float] = time) -> None:
        self._table, self._seconds, self._now = table, hours * 3600, now

    def issue(self, username: str, account: str) -> str | None:
        """Return a new token for the user with the account id *account*, or None if that user is gone. Atomic."""
        name = urlsafe_b64encode(username.encode()).decode().rstrip("=")
        token = f"{PREFIX}{name}.{secrets.token_urlsafe(32)}"
        try:
            self._table.change(
                key(username),
                f"SET {DIGEST} = :digest, {UNTIL} = :until",
                when="accountId = :account AND attribute_not_exists(gone)",
                values={":digest": _digest(token), ":until": int(self._now()) + self._seconds, ":account": account},
            )
        except ConditionFailed:
            return None
        return token

    def find(self, token: str) -> User:
        """Return the user of a valid *token*, by one read.

        Raises:
            LinkInvalid: there is no such token, the token was used, or its time is over.
        """
        return user(self._item(token))

    def use(self, token: str, password_hash: str) -> User:
        """Set the password and end *token*, with a pending revocation of the user's sessions, in one update.

        Of concurrent calls with a token, one succeeds.

        Raises:
            LinkInvalid: there is no such token, the token was used, or its time is over; nothing was written.
        """
        item, epoch = self._item(token), ids.new_id()
        now = enrolment.stamp()
        values: Item = {
            ":hash": password_hash,
            ":epoch": epoch,
            ":digest": _digest(token),
            ":account": account_id(item),
        }
        values |= {":updated": max(now, item["updatedAt"]), ":due": "due", ":now": int(self._now())}
        try:
            changed = self._table.update(
                key(item["username"]),
                "SET passwordHash = :hash, epoch = :epoch, updatedAt = :updated, dismiss = :due "
                f"REMOVE {DIGEST}, {UNTIL}",
                when=f"{DIGEST} = :digest AND {UNTIL} > :now AND accountId = :account AND attribute_not_exists(gone)",
                values=values,
            )
        except ConditionFailed as refused:
            # If the SDK lost the first answer and repeated the call, our own first write refused the second.
            if (refused.item or {}).get("epoch") != epoch:
                raise LinkInvalid from refused
            changed = refused.item or {}
        return user(changed)

    def _item(self, token: str) -> Item:
        username = _username(token)
        item = self._table.get(key(username)) if username else None
        valid = (
            item is not None
            and not item.get("gone")
            and item.get(UNTIL, 0) > self._now()
            and hmac.compare_digest(item.get(DIGEST, ""), _digest(token))
        )
        if item is None or not valid:
            raise LinkInvalid
        return item


def _username(token: str) -> str | None:
    """Return the user whom *token* names, or None if *token* has another form; proves nothing."""
    if (found := _SHAPE.fullmatch(token)) is None:
        return None
    try:
        return urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode()
    except ValueError:
        return None


def _digest(token: str) -> str:
    # The secret has 256 random bits and cannot be guessed, so a plain hash is enough.
    return hashlib.sha256(token.encode()).hexdigest()
