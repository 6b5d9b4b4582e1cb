"""DynamoDB as this service uses the store: plain values, conditional writes, retries of undecided calls.

A failed condition is an answer: `ConditionFailed` carries the item that failed the condition. A call that was
throttled, or in conflict with a transaction, decided nothing: the call is retried with full jitter, and is never
reported as a failed condition.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import sleep
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime import ids
from chalicelib.core.runtime.backoff import Backoff
from chalicelib.core.stores.attributes import Item, from_attributes, to_attributes
from chalicelib.core.stores.driver_errors import reaching_aws

#: One entry of ``TransactItems``, as botocore takes it.
Write = dict[str, Any]
Result = TypeVar("Result")

#: Makes a failed condition return the current item, which saves a read.
_RETURN_CURRENT = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

#: The limit of BatchGetItem.
_KEYS_PER_BATCH = 100
#: The limit of BatchWriteItem.
_WRITES_PER_BATCH = 25

_ATTEMPTS = 10
_BACKOFF = Backoff(first_seconds=0.02, longest_seconds=0.5)
#: Error codes without a decision: the call may be repeated. A refused transaction's reasons have codes of their own.
_UNDECIDED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class ConditionFailed(Exception):
    """The condition of a write did not hold. *item* is the current item, or None if there is no item."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("a condition did not hold")
        self.item = item


class Reason(NamedTuple):
    """The reason for which one write of a transaction was refused; the code of an accepted write is ``"None"``."""

    code: str
    item: Item | None


class TransactionRefused(Exception):
    """A transaction's conditions did not all hold; *reasons* has one entry per write, in the order of the writes."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("a transaction's condition did not hold")
        self.reasons = reasons


class _Undecided(Exception):
    """DynamoDB decided nothing; the call may be repeated."""


class Table:
    """A DynamoDB table with the key ``pk``."""

    def __init__(self, client: Any, name: str, pause: Callable[[float], None] = sleep) -> None:
        self._client, self.name, self._pause = client, name, pause

    def get(self, pk: str) -> Item | None:
        """Return the item by a consistent read, or None."""
        answer = self._call(self._client.get_item, Key=to_attributes({"pk": pk}), ConsistentRead=True)
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def batch_get(self, keys: Sequence[str]) -> list[Item]:
        """Return the items of *keys* that exist, in any order, in one round trip for each hundred keys."""
        return self.batch_get_keys([{"pk": key} for key in keys])

    def batch_get_keys(self, keys: Sequence[Item]) -> list[Item]:
        """Return items as `batch_get` does, for whole keys: in a table with a sort key, each key has both parts."""
        found: list[Item] = []
        for start in range(0, len(keys), _KEYS_PER_BATCH):
            self._add_items(keys[start : start + _KEYS_PER_BATCH], found)
        return found

    def batch_write(self, puts: Sequence[Item], deletes: Sequence[Item] = ()) -> None:
        """Put *puts* and delete keys, unconditionally. Not atomic; safe to repeat; no key may occur twice."""
        requests = [{"PutRequest": {"Item": to_attributes(item)}} for item in puts]
        requests += [{"DeleteRequest": {"Key": to_attributes(key)}} for key in deletes]
        for start in range(0, len(requests), _WRITES_PER_BATCH):
            self._write_all(requests[start : start + _WRITES_PER_BATCH])

    def scan(self, after: str, limit: int) -> tuple[list[Item], str]:
        """Return the next items beyond the key *after*, and the key to continue after: "" at the start and the end.

        The order is arbitrary. A full scan returns each item that exists throughout exactly once.
        """
        start = {"ExclusiveStartKey": to_attributes({"pk": after})} if after else {}
        answer = self._call(self._client.scan, Limit=limit, ConsistentRead=True, **start)
        last = answer.get("LastEvaluatedKey")
        return [from_attributes(item) for item in answer["Items"]], from_attributes(last)["pk"] if last else ""

    def put(self, item: Item, *, when: str, values: Item | None = None, names: Mapping[str, str] | None = None) -> None:
        """Write *item* if *when* holds.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        self._write(self._client.put_item, Item=to_attributes(item), **_condition(when, values or {}, names))

    def update(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        """Apply *change* if *when* holds; return the item after the change.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        answer = self._write(
            self._client.update_item,
            Key=to_attributes({"pk": pk}),
            UpdateExpression=change,
            ReturnValues="ALL_NEW",
            **_condition(when, values, names),
        )
        return from_attributes(answer["Attributes"])

    def change(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> None:
        """Apply *change* as `update` does, without returning the item.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        condition = _condition(when, values, names)
        self._write(self._client.update_item, Key=to_attributes({"pk": pk}), UpdateExpression=change, **condition)

    def delete(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> None:
        """Delete the item if *when* holds.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        self._write(self._client.delete_item, Key=to_attributes({"pk": pk}), **_condition(when, values, names))

    def query(self, index: str, key: str, value: str, *, after: str = "", limit: int = 100) -> list[Item]:
        """Return up to *limit* items of *index* in which *key* is *value*, in the order of ``pk``, beyond *after*."""
        answer = self._call(
            self._client.query,
            IndexName=index,
            KeyConditionExpression="#key = :value AND pk > :after",
            ExpressionAttributeNames={"#key": key},
            # A key cannot be empty, and no key of this service sorts before a space.
            ExpressionAttributeValues=to_attributes({":value": value, ":after": after or " "}),
            Limit=limit,
        )
        return [from_attributes(item) for item in answer["Items"]]

    def check(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Write:
        """Return a transaction entry that demands *when* and writes nothing."""
        entry = {"TableName": self.name, "Key": to_attributes({"pk": pk}), **_RETURN_CURRENT}
        return {"ConditionCheck": {**entry, **_condition(when, values, names)}}

    def put_entry(
        self, item: Item, *, when: str, values: Item | None = None, names: Mapping[str, str] | None = None
    ) -> Write:
        """Return a transaction entry that writes *item* and demands *when*."""
        entry = {"TableName": self.name, "Item": to_attributes(item), **_RETURN_CURRENT}
        return {"Put": {**entry, **_condition(when, values or {}, names)}}

    def update_entry(
        self, pk: str, change: str, *, when: str = "", values: Item, names: Mapping[str, str] | None = None
    ) -> Write:
        """Return a transaction entry that applies *change* and demands *when*."""
        entry = {
            "TableName": self.name,
            "Key": to_attributes({"pk": pk}),
            "UpdateExpression": change,
            **_RETURN_CURRENT,
        }
        return {"Update": {**entry, **_condition(when, values, names)}}

    def transact(self, writes: Iterable[Write]) -> None:
        """Apply all of *writes* or nothing, in any tables. A client token makes retries after a lost response safe.

        Raises:
            TransactionRefused: a condition did not hold.
        """
        token = ids.new_id()
        entries = list(writes)
        self._with_retries(lambda: self._client.transact_write_items(TransactItems=entries, ClientRequestToken=token))

    def _write_all(self, requests: list[dict[str, Any]]) -> None:
        wanted: dict[str, Any] = {self.name: requests}

        def ask() -> None:
            nonlocal wanted
            if wanted := self._client.batch_write_item(RequestItems=wanted).get("UnprocessedItems", {}):
                raise _Undecided

        self._with_retries(ask)

    def _add_items(self, keys: Sequence[Item], found: list[Item]) -> None:
        """Add the items of *keys* to *found*. After a partial answer the rest is requested with backoff."""
        wanted: dict[str, Any] = {self.name: {"Keys": [to_attributes(key) for key in keys], "ConsistentRead": True}}

        def ask() -> None:
            nonlocal wanted
            answer = self._client.batch_get_item(RequestItems=wanted)
            found.extend(from_attributes(item) for item in answer["Responses"].get(self.name, []))
            if wanted := answer.get("UnprocessedKeys", {}):
                raise _Undecided

        self._with_retries(ask)

    def _write(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._call(call, **_RETURN_CURRENT, **arguments)

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._with_retries(lambda: call(TableName=self.name, **arguments))

    def _with_retries(self, call: Callable[[], Result]) -> Result:
        for failures in range(_ATTEMPTS):
            if failures:
                self._pause(_BACKOFF.seconds(failures))
            try:
                with reaching_aws("dynamodb"):
                    return _decision_of(call)
            except _Undecided:
                continue
        raise Unavailable("DynamoDB is busy just now.")


def _condition(when: str, values: Item, names: Mapping[str, str] | None) -> dict[str, Any]:
    given = {
        "ConditionExpression": when,
        "ExpressionAttributeValues": to_attributes(values),
        "ExpressionAttributeNames": dict(names or {}),
    }
    return {name: value for name, value in given.items() if value}


def _decision_of(call: Callable[[], Result]) -> Result:
    """Return the result of *call*.

    Raises:
        ConditionFailed, TransactionRefused: a condition did not hold.
        _Undecided: nothing was decided; the call may be repeated.
    """
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(_current_item(error.response)) from error
        reasons = [
            Reason(reason["Code"], _current_item(reason)) for reason in error.response.get("CancellationReasons", ())
        ]
        # A failed condition is final, even if other writes of the transaction met a conflict.
        if any(reason.code == "ConditionalCheckFailed" for reason in reasons):
            raise TransactionRefused(reasons) from error
        if _UNDECIDED.intersection([code, *(reason.code for reason in reasons)]):
            raise _Undecided from error
        raise


def _current_item(reply: Mapping[str, Any]) -> Item | None:
    return from_attributes(reply["Item"]) if reply.get("Item") else None
