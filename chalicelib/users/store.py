"""Where users live: one DynamoDB table, a name taken by condition.

A change that must end the user's sessions writes a new ``epoch`` and the mark ``dismiss`` in the same update. Sessions
carry the epoch they were opened under; whoever sees the mark ends those of other epochs and takes the mark away.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib import ids
from chalicelib.dynamo import Item, plain, typed
from chalicelib.http import Role
from chalicelib.outages import reaching_aws
from chalicelib.users.errors import UsernameTaken, UserNotFound
from chalicelib.users.models import Credentials, User

_KIND = "user"
_MARK = "due"


class Dismissal(NamedTuple):
    """Sessions of *username* that were not opened under *epoch* must end; a *gone* user's, all of them."""

    username: str
    epoch: str
    gone: bool


class UserStore:
    """Users, their hashes and their marks."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def add(self, username: str, password_hash: str, roles: Iterable[Role]) -> User:
        """Make a user. Atomic: of many calls for one name, one returns.

        Raises:
            UsernameTaken: the name has a user.
        """
        now = _now()
        item = {
            "pk": _key(username),
            "kind": _KIND,
            "username": username,
            "passwordHash": password_hash,
            "roles": sorted(roles),
            "epoch": ids.new_id(),
            "createdAt": now,
            "updatedAt": now,
        }
        try:
            with reaching_aws():
                # A deleted user whose sessions are still being ended keeps the name until they are.
                self._client.put_item(
                    TableName=self._table, Item=typed(item), ConditionExpression="attribute_not_exists(pk)"
                )
        except ClientError as error:
            raise _translated(error, UsernameTaken()) from error
        return _user(item)

    def find(self, username: str) -> User | None:
        """Return the user as it is at this moment, or None."""
        item = self._read(username)
        return _user(item) if item else None

    def credentials(self, username: str) -> Credentials | None:
        """Return the user as it is at this moment, with the hash, or None."""
        item = self._read(username)
        return Credentials(_user(item), item["passwordHash"]) if item else None

    def page(self, limit: int, after: str | None) -> list[User]:
        """Return up to *limit* users in the order of their names, after the name *after*."""
        query = {
            "TableName": self._table,
            "IndexName": "by-kind",
            "KeyConditionExpression": "kind = :kind AND pk > :after",
            "ExpressionAttributeValues": typed({":kind": _KIND, ":after": _key(after or "")}),
            "Limit": limit,
        }
        with reaching_aws():
            answer = self._client.query(**query)
        return [_user(plain(item)) for item in answer["Items"]]

    def change(self, username: str, *, password_hash: str | None, roles: Iterable[Role] | None) -> User:
        """Write a new hash or new roles, and mark the user's sessions for dismissal, in one update.

        Raises:
            UserNotFound: there is no such user.
        """
        changes: Item = {"updatedAt": _now(), "epoch": ids.new_id(), "dismiss": _MARK}
        if password_hash is not None:
            changes["passwordHash"] = password_hash
        if roles is not None:
            changes["roles"] = sorted(roles)
        return _user(self._update(username, changes))

    def remove(self, username: str) -> User:
        """Make a user unable to sign in, and mark the sessions for dismissal; `dismissed` then deletes the item.

        Raises:
            UserNotFound: there is no such user.
        """
        return _user(self._update(username, {"gone": True, "epoch": ids.new_id(), "dismiss": _MARK}, drop="kind"))

    def dismissals(self) -> list[Dismissal]:
        """Return marks that stand; a bounded number, oldest names first."""
        with reaching_aws():
            answer = self._client.query(
                TableName=self._table,
                IndexName="by-dismiss",
                KeyConditionExpression="dismiss = :mark",
                ExpressionAttributeValues=typed({":mark": _MARK}),
                Limit=100,
            )
        found = [plain(item) for item in answer["Items"]]
        return [Dismissal(item["username"], item["epoch"], item.get("gone", False)) for item in found]

    def dismissed(self, done: Dismissal) -> None:
        """Take the mark away, and a gone user with it; nothing happens if a newer change has set it again."""
        call, change = self._client.update_item, {"UpdateExpression": "REMOVE dismiss"}
        if done.gone:
            call, change = self._client.delete_item, {}
        try:
            with reaching_aws():
                call(
                    TableName=self._table,
                    Key=typed({"pk": _key(done.username)}),
                    ConditionExpression="epoch = :epoch",
                    ExpressionAttributeValues=typed({":epoch": done.epoch}),
                    **change,
                )
        except ClientError as error:
            _raise_unless_condition(error)

    def _read(self, username: str) -> Item | None:
        with reaching_aws():
            answer = self._client.get_item(
                TableName=self._table, Key=typed({"pk": _key(username)}), ConsistentRead=True
            )
        item = plain(answer.get("Item", {}))
        return item if item and not item.get("gone") else None

    def _update(self, username: str, changes: Item, drop: str = "") -> Item:
        sets = ", ".join(f"#{name} = :{name}" for name in changes)
        names = {f"#{name}": name for name in changes} | ({f"#{drop}": drop} if drop else {})
        try:
            with reaching_aws():
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=typed({"pk": _key(username)}),
                    UpdateExpression=f"SET {sets}" + (f" REMOVE #{drop}" if drop else ""),
                    ConditionExpression="attribute_exists(pk) AND attribute_not_exists(gone)",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=typed({f":{name}": value for name, value in changes.items()}),
                    ReturnValues="ALL_NEW",
                )
        except ClientError as error:
            raise _translated(error, UserNotFound()) from error
        return plain(answer["Attributes"])


def _key(username: str) -> str:
    return f"{_KIND}#{username}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _user(item: Item) -> User:
    return User(
        username=item["username"],
        roles=frozenset(Role(role) for role in item["roles"]),
        epoch=item["epoch"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
    )


def _raise_unless_condition(error: ClientError) -> None:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error


def _translated(error: ClientError, meaning: Exception) -> Exception:
    """Return *meaning* where a condition failed, and the error itself where it did not."""
    return meaning if error.response["Error"]["Code"] == "ConditionalCheckFailedException" else error
