"""DynamoDB as this service uses it: plain values, conditional writes, and conflicts that are tried again.

A condition that fails is an answer and is told with what stood there instead (`ConditionFailed`). A call that was
throttled, or in conflict with a transaction, has decided nothing, so it is tried again with full jitter and never taken
for a loss; the pauses follow "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import sleep
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from chalicelib import ids
from chalicelib.errors import Unavailable
from chalicelib.outages import reaching_aws

Item = dict[str, Any]
#: One entry of ``TransactItems``, as botocore takes it.
Write = dict[str, Any]
Result = TypeVar("Result")

#: Has a refusal carry what stood there, so that nobody needs to read it afterwards.
_TELL = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

#: As many as BatchGetItem takes.
_KEYS_PER_BATCH = 100

_ATTEMPTS = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.5
#: Nothing was decided: the same call may be made again. A transaction's reasons have names of their own.
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
    """A write's condition did not hold. *item* is what stood there, None if nothing did."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("a condition did not hold")
        self.item = item


class Reason(NamedTuple):
    """Why one write of a transaction was refused; code ``None`` is a write that was not."""

    code: str
    item: Item | None


class TransactionRefused(Exception):
    """A transaction's conditions did not all hold; *reasons* has one entry per write, in their order."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("a transaction's condition did not hold")
        self.reasons = reasons


class _Undecided(Exception):
    """The call was turned away before anything was decided."""


class Table:
    """One table whose key is ``pk``."""

    def __init__(self, client: Any, name: str, pause: Callable[[float], None] = sleep) -> None:
        self._client, self.name, self._pause = client, name, pause

    def get(self, pk: str) -> Item | None:
        """Return the item as it is at this moment, or None."""
        answer = self._call(self._client.get_item, Key=typed({"pk": pk}), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def batch(self, keys: Sequence[str]) -> list[Item]:
        """Return the items of *keys* that exist, in any order, in one round trip for each hundred keys."""
        found: list[Item] = []
        for start in range(0, len(keys), _KEYS_PER_BATCH):
            self._collect(keys[start : start + _KEYS_PER_BATCH], found)
        return found

    def put(self, item: Item, *, when: str, values: Item | None = None, names: Mapping[str, str] | None = None) -> None:
        """Write *item* if *when* holds.

        Raises:
            ConditionFailed: it does not.
        """
        self._write(self._client.put_item, Item=typed(item), **_condition(when, values or {}, names))

    def update(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        """Apply *change* if *when* holds; return the item as it is then.

        Raises:
            ConditionFailed: it does not.
        """
        answer = self._write(
            self._client.update_item,
            Key=typed({"pk": pk}),
            UpdateExpression=change,
            ReturnValues="ALL_NEW",
            **_condition(when, values, names),
        )
        return plain(answer["Attributes"])

    def change(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> None:
        """Do as `update` does, for callers who have no use for the item: nothing is sent back.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        condition = _condition(when, values, names)
        self._write(self._client.update_item, Key=typed({"pk": pk}), UpdateExpression=change, **condition)

    def delete(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> None:
        """Delete the item if *when* holds.

        Raises:
            ConditionFailed: it does not.
        """
        self._write(self._client.delete_item, Key=typed({"pk": pk}), **_condition(when, values, names))

    def query(self, index: str, key: str, value: str, *, after: str = "", limit: int = 100) -> list[Item]:
        """Return up to *limit* items of *index* whose *key* is *value*, in the order of ``pk``, beyond *after*."""
        answer = self._call(
            self._client.query,
            IndexName=index,
            KeyConditionExpression="#key = :value AND pk > :after",
            ExpressionAttributeNames={"#key": key},
            # A key cannot be empty, and nothing sorts before a space in ours.
            ExpressionAttributeValues=typed({":value": value, ":after": after or " "}),
            Limit=limit,
        )
        return [plain(item) for item in answer["Items"]]

    def check(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Write:
        """Return a transaction's entry that writes nothing and demands *when*."""
        entry = {"TableName": self.name, "Key": typed({"pk": pk}), **_TELL}
        return {"ConditionCheck": {**entry, **_condition(when, values, names)}}

    def updating(
        self, pk: str, change: str, *, when: str = "", values: Item, names: Mapping[str, str] | None = None
    ) -> Write:
        """Return a transaction's entry that applies *change*, demanding *when*."""
        entry = {"TableName": self.name, "Key": typed({"pk": pk}), "UpdateExpression": change, **_TELL}
        return {"Update": {**entry, **_condition(when, values, names)}}

    def transact(self, writes: Iterable[Write]) -> None:
        """Apply all of *writes* or none, in whatever tables. One token makes a lost answer safe to ask for again.

        Raises:
            TransactionRefused: a condition did not hold.
        """
        token = ids.new_id()
        entries = list(writes)
        self._retried(lambda: self._client.transact_write_items(TransactItems=entries, ClientRequestToken=token))

    def _collect(self, keys: Sequence[str], found: list[Item]) -> None:
        """Add the items of *keys* to *found*. DynamoDB may answer in part; the rest is asked for like a busy call."""
        wanted: dict[str, Any] = {self.name: {"Keys": [typed({"pk": key}) for key in keys], "ConsistentRead": True}}

        def ask() -> None:
            nonlocal wanted
            answer = self._client.batch_get_item(RequestItems=wanted)
            found.extend(plain(item) for item in answer["Responses"].get(self.name, []))
            if wanted := answer.get("UnprocessedKeys", {}):
                raise _Undecided

        self._retried(ask)

    def _write(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._call(call, **_TELL, **arguments)

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._retried(lambda: call(TableName=self.name, **arguments))

    def _retried(self, call: Callable[[], Result]) -> Result:
        ceiling = _FIRST_PAUSE_SECONDS
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(random.uniform(0, ceiling))  # noqa: S311 # spreads callers out; nothing secret
                ceiling = min(ceiling * 2, _LONGEST_PAUSE_SECONDS)
            try:
                with reaching_aws():
                    return _decided(call)
            except _Undecided:
                continue
        raise Unavailable("DynamoDB is busy just now.")


def typed(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return *values* as DynamoDB attributes. Text, whole numbers, booleans, lists of these: no more."""
    return {name: _attribute(value) for name, value in values.items()}


def plain(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    """Return the inverse of `typed`."""
    return {name: _value(attribute) for name, attribute in attributes.items()}


def _condition(when: str, values: Item, names: Mapping[str, str] | None) -> dict[str, Any]:
    given = {
        "ConditionExpression": when,
        "ExpressionAttributeValues": typed(values),
        "ExpressionAttributeNames": dict(names or {}),
    }
    return {name: value for name, value in given.items() if value}


def _decided(call: Callable[[], Result]) -> Result:
    """Return or raise what *call* has decided.

    Raises:
        _Undecided: nothing; it may be made again.
    """
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(_old(error.response)) from error
        reasons = [Reason(reason["Code"], _old(reason)) for reason in error.response.get("CancellationReasons", ())]
        # A failed condition is final, whatever else got in the way.
        if any(reason.code == "ConditionalCheckFailed" for reason in reasons):
            raise TransactionRefused(reasons) from error
        if _UNDECIDED.intersection([code, *(reason.code for reason in reasons)]):
            raise _Undecided from error
        raise


def _old(told: Mapping[str, Any]) -> Item | None:
    return plain(told["Item"]) if told.get("Item") else None


def _attribute(value: Any) -> dict[str, Any]:
    # bool is an int to Python, so it is asked first.
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_attribute(item) for item in value]}
    raise TypeError(f"{type(value).__name__} has no place in an item")


def _value(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "L":
        return [_value(item) for item in value]
    return value
