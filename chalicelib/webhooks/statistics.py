"""Statistics of webhooks: how many calls were answered or failed, and how long the answers took, by webhook and day.

Counters, and no scan of deliveries. Latencies are counted in the bins of a DDSketch (Masson, Rim and Lee, "DDSketch: A
Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019): workers and days add up, and a
percentile is within two percent of the true one. A worker counts once at the end of its turn: one that dies before
counts nothing, and no call waits for the counting.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ddsketch import DDSketch
from ddsketch.mapping import LogarithmicMapping
from pymongo import ASCENDING, IndexModel

from chalicelib.core.stores.driver_errors import reaching_mongodb
from chalicelib.webhooks.attempts import Result
from chalicelib.webhooks.shown import Latency

if TYPE_CHECKING:
    from pymongo.database import Database

INDEXES = [IndexModel([("purgeAt", ASCENDING)], expireAfterSeconds=0)]

#: The most days that are added up, and one more in which the oldest is still read.
MOST_DAYS = 31
_ACCURACY = 0.02
_BINS = LogarithmicMapping(_ACCURACY)
#: The shortest latency that is told apart.
_SHORTEST_MS = 1
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Tally:
    """The calls of one turn."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()

    def note(self, result: Result) -> None:
        """Count a call. The latency of a call without an answer is left out: it is a deadline's, and no receiver's."""
        self._numbers["answered" if result.ok else "failed"] += 1
        if result.status is not None:
            self._numbers[f"latencies.{_BINS.key(max(result.latency_ms, _SHORTEST_MS))}"] += 1

    @property
    def numbers(self) -> dict[str, int]:
        """What to add to the counters of the day."""
        return dict(self._numbers)


class Counters:
    """The counters, one document for each webhook and day (UTC)."""

    def __init__(self, database: "Database[dict[str, Any]]") -> None:
        self._counts = database.webhook_statistics

    def add(self, webhook_id: str, tally: Tally) -> None:
        """Add the calls of a turn to the counters of today. One atomic update, and none without a call.

        Raises:
            Unavailable: MongoDB cannot be reached; the calls are not counted.
        """
        if not (numbers := tally.numbers):
            return
        now = datetime.now(UTC)
        first = {"purgeAt": now + timedelta(days=MOST_DAYS + 1)}
        with reaching_mongodb():
            self._counts.update_one(
                {"_id": _id(webhook_id, now)}, {"$inc": numbers, "$setOnInsert": first}, upsert=True
            )

    def of(self, webhook_id: str, days: int) -> tuple[int, int, Latency | None]:
        """Return the calls that were answered with success and that failed within the last *days*, and the latencies.

        Today counts as a day.
        """
        now = datetime.now(UTC)
        wanted = [_id(webhook_id, now - timedelta(days=back)) for back in range(days)]
        with reaching_mongodb():
            found = list(self._counts.find({"_id": {"$in": wanted}}))
        sketch = DDSketch(_ACCURACY)
        for day in found:
            for key, number in day.get("latencies", {}).items():
                sketch.add(_BINS.value(int(key)), number)
        answered, failed = (sum(day.get(name, 0) for day in found) for name in ("answered", "failed"))
        return answered, failed, _latency(sketch)


def _latency(sketch: DDSketch) -> Latency | None:
    if not sketch.count:
        return None
    return Latency(**{name: round(sketch.get_quantile_value(part) or 0) for name, part in _PERCENTILES.items()})


def _id(webhook_id: str, at: datetime) -> str:
    return f"{webhook_id}/{at.date().isoformat()}"
