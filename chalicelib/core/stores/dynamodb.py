"""DynamoDB as this service uses it: plain values, conditional writes, and conflicts that are tried again.

A condition that fails is an answer and is told with what stood there instead (`ConditionFailed`). A call that was
throttled, or in conflict with a transaction, has decided nothing, so it is tried again with full jitter and never taken
for a loss.
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

#: Has a refusal carry what stood there, so that nobody needs to read it afterwards.
_TELL = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

#: As many as BatchGetItem takes.
_KEYS_PER_BATCH = 100
#: As many as BatchWriteItem takes.
_WRITES_PER_BATCH = 25
#: No version is as high.
_BEYOND = 10**15

_ATTEMPTS = 10
_BACKOFF = Backoff(first_seconds=0.02, longest_seconds=0.5)
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
        answer = self._call(self._client.get_item, Key=to_attributes({"pk": pk}), ConsistentRead=True)
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def batch_get(self, keys: Sequence[str]) -> list[Item]:
        """Return the items of *keys* that exist, in any order, in one round trip for each hundred keys."""
        return self.batch_get_keys([{"pk": key} for key in keys])

    def batch_get_keys(self, keys: Sequence[Item]) -> list[Item]:
        """Do as `batch_get` does, for whole keys: in a table of two parts, a key has both."""
        found: list[Item] = []
        for start in range(0, len(keys), _KEYS_PER_BATCH):
            self._collect(keys[start : start + _KEYS_PER_BATCH], found)
        return found

    def batch_write(self, puts: Sequence[Item], deletes: Sequence[Item] = ()) -> None:
        """Put the items *puts* and delete those of the keys *deletes*, whatever stood there, in as few calls as can be.

        Not atomic, and safe to repeat. No key may come twice.
        """
        requests = [{"PutRequest": {"Item": to_attributes(item)}} for item in puts]
        requests += [{"DeleteRequest": {"Key": to_attributes(key)}} for key in deletes]
        for start in range(0, len(requests), _WRITES_PER_BATCH):
            self._write_all(requests[start : start + _WRITES_PER_BATCH])

    def newest(self, pk: str, sort: str, *, below: int | None = None, limit: int = 100) -> list[Item]:
        """Return up to *limit* items of *pk*, the highest *sort* first, those *below* it if that is given.

        As many as DynamoDB answers at once (1 MB), and one at least where there is one.
        """
        answer = self._call(
            self._client.query,
            KeyConditionExpression="pk = :pk AND #sort < :below",
            ExpressionAttributeNames={"#sort": sort},
            ExpressionAttributeValues=to_attributes({":pk": pk, ":below": _BEYOND if below is None else below}),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
        )
        return [from_attributes(item) for item in answer["Items"]]

    def scan(self, after: str, limit: int) -> tuple[list[Item], str]:
        """Return the next items beyond the key *after*, and the key to go on after: "" at the beginning and the end.

        In no order that means anything; items that stay are seen once in a whole walk.
        """
        start = {"ExclusiveStartKey": to_attributes({"pk": after})} if after else {}
        answer = self._call(self._client.scan, Limit=limit, ConsistentRead=True, **start)
        last = answer.get("LastEvaluatedKey")
        return [from_attributes(item) for item in answer["Items"]], from_attributes(last)["pk"] if last else ""

    def put(self, item: Item, *, when: str, values: Item | None = None, names: Mapping[str, str] | None = None) -> None:
        """Write *item* if *when* holds.

        Raises:
            ConditionFailed: it does not.
        """
        self._write(self._client.put_item, Item=to_attributes(item), **_condition(when, values or {}, names))

    def update(self, pk: str, change: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
        """Apply *change* if *when* holds; return the item as it is then.

        Raises:
            ConditionFailed: it does not.
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
        """Do as `update` does, for callers who have no use for the item: nothing is sent back.

        Raises:
            ConditionFailed: *when* does not hold.
        """
        condition = _condition(when, values, names)
        self._write(self._client.update_item, Key=to_attributes({"pk": pk}), UpdateExpression=change, **condition)

    def delete(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> None:
        """Delete the item if *when* holds.

        Raises:
            ConditionFailed: it does not.
        """
        self._write(self._client.delete_item, Key=to_attributes({"pk": pk}), **_condition(when, values, names))

    def query(self, index: str, key: str, value: str, *, after: str = "", limit: int = 100) -> list[Item]:
        """Return up to *limit* items of *index* whose *key* is *value*, in the order of ``pk``, beyond *after*."""
        answer = self._call(
            self._client.query,
            IndexName=index,
            KeyConditionExpression="#key = :value AND pk > :after",
            ExpressionAttributeNames={"#key": key},
            # A key cannot be empty, and nothing sorts before a space in ours.
            ExpressionAttributeValues=to_attributes({":value": value, ":after": after or " "}),
            Limit=limit,
        )
        return [from_attributes(item) for item in answer["Items"]]

    def check(self, pk: str, *, when: str, values: Item, names: Mapping[str, str] | None = None) -> Write:
        """Return a transaction's entry that writes nothing and demands *when*."""
        entry = {"TableName": self.name, "Key": to_attributes({"pk": pk}), **_TELL}
        return {"ConditionCheck": {**entry, **_condition(when, values, names)}}

    def put_entry(self, item: Item, *, when: str) -> Write:
        """Return a transaction's entry that writes *item*, demanding *when*."""
        return {"Put": {"TableName": self.name, "Item": to_attributes(item), **_TELL, **_condition(when, {}, None)}}

    def update_entry(
        self, pk: str, change: str, *, when: str = "", values: Item, names: Mapping[str, str] | None = None
    ) -> Write:
        """Return a transaction's entry that applies *change*, demanding *when*."""
        entry = {"TableName": self.name, "Key": to_attributes({"pk": pk}), "UpdateExpression": change, **_TELL}
        return {"Update": {**entry, **_condition(when, values, names)}}

    def transact(self, writes: Iterable[Write]) -> None:
        """Apply all of *writes* or none, in whatever tables. One token makes a lost answer safe to ask for again.

        Raises:
            TransactionRefused: a condition did not hold.
        """
        token = ids.new_id()
        entries = list(writes)
        self._retried(lambda: self._client.transact_write_items(TransactItems=entries, ClientRequestToken=token))

    def _write_all(self, requests: list[dict[str, Any]]) -> None:
        wanted: dict[str, Any] = {self.name: requests}

        def ask() -> None:
            nonlocal wanted
            if wanted := self._client.batch_write_item(RequestItems=wanted).get("UnprocessedItems", {}):
                raise _Undecided

        self._retried(ask)

    def _collect(self, keys: Sequence[Item], found: list[Item]) -> None:
        """Add the items of *keys* to *found*. DynamoDB may answer in part; the rest is asked for like a busy call."""
        wanted: dict[str, Any] = {self.name: {"Keys": [to_attributes(key) for key in keys], "ConsistentRead": True}}

        def ask() -> None:
            nonlocal wanted
            answer = self._client.batch_get_item(RequestItems=wanted)
            found.extend(from_attributes(item) for item in answer["Responses"].get(self.name, []))
            if wanted := answer.get("UnprocessedKeys", {}):
                raise _Undecided

        self._retried(ask)

    def _write(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._call(call, **_TELL, **arguments)

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._retried(lambda: call(TableName=self.name, **arguments))

    def _retried(self, call: Callable[[], Result]) -> Result:
        for failures in range(_ATTEMPTS):
            if failures:
                self._pause(_BACKOFF.seconds(failures))
            try:
                with reaching_aws():
                    return _decided(call)
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
    return from_attributes(told["Item"]) if told.get("Item") else None
