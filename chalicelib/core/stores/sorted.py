"""DynamoDB tables with a sort key: the items of one ``pk`` in the order of the sort key."""

from chalicelib.core.stores.attributes import Item, from_attributes, to_attributes
from chalicelib.core.stores.dynamodb import Table

#: Higher than any number in a sort key.
_ABOVE_ALL = 10**15


class SortedTable(Table):
    """A DynamoDB table with the key ``pk`` and a sort key. All reads are consistent."""

    def newest(self, pk: str, sort: str, *, below: int | None = None, limit: int = 100) -> list[Item]:
        """Return up to *limit* items of *pk*, the highest *sort* first; with *below*, only items with a lower *sort*.

        DynamoDB ends an answer at 1 MB; if there are items, at least one is returned.
        """
        answer = self._call(
            self._client.query,
            KeyConditionExpression="pk = :pk AND #sort < :below",
            ExpressionAttributeNames={"#sort": sort},
            ExpressionAttributeValues=to_attributes({":pk": pk, ":below": _ABOVE_ALL if below is None else below}),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
        )
        return [from_attributes(item) for item in answer["Items"]]

    def oldest(self, pk: str, sort: str, *, after: str, limit: int) -> tuple[list[Item], bool]:
        """Return up to *limit* items of *pk* whose text *sort* is higher than *after*, the lowest first.

        The flag says whether there may be more items: DynamoDB ends an answer at 1 MB.
        """
        answer = self._call(self._client.query, Limit=limit, **_after(pk, sort, after))
        return [from_attributes(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def count(self, pk: str, sort: str, *, after: str, most: int) -> int:
        """Return the number of items of *pk* whose text *sort* is higher than *after*, at most *most*.

        One round trip for each megabyte of items.
        """
        found = 0
        start: Item = {}
        while True:
            answer = self._call(
                self._client.query, Select="COUNT", Limit=most - found, **_after(pk, sort, after), **start
            )
            found += int(answer["Count"])
            if found >= most or "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _after(pk: str, sort: str, after: str) -> Item:
    return {
        "KeyConditionExpression": "pk = :pk AND #sort > :after",
        "ExpressionAttributeNames": {"#sort": sort},
        "ExpressionAttributeValues": to_attributes({":pk": pk, ":after": after}),
        "ConsistentRead": True,
    }
