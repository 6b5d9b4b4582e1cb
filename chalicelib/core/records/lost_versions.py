"""Gaps: versions that nobody was told of, and that no stream will bring any more.

Reading every history to its beginning, each time, would take longer than the time between two walks. So each record has
a mark, up to which nothing is missing, and only what came after it is looked at.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.records import events, wiring
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import clock, logs, settings

#: A stream keeps what it holds for 24 hours; clocks differ by less than the rest.
_STREAM = timedelta(hours=25)
#: Of one record, so many versions are looked at in one go.
_AT_ONCE = 100


def report(record: Record, whole: int) -> int:
    """Tell of versions before this one that are lost, from the mark *whole* on; return how many. Safe to repeat.

    What is missing and may still come is left to come: it would be told as what it was.

    Raises:
        Unavailable: a store is down.
    """
    first = max(whole, record.version - settings.load(settings.RecordSettings).kept_versions) + 1
    versions = range(first, min(first + _AT_ONCE, record.version))
    times = wiring.history().times(record, versions) | {record.version: record.updated_at}
    missing = [version for version in versions if version not in times]
    past = clock.stamp(datetime.now(UTC) - _STREAM)
    # What came to be before something that has left the stream has left it too.
    gone = max((version for version, at in times.items() if at < past), default=0)
    lost = [version for version in missing if version < gone]
    tell_lost(record, lost)
    coming = [version for version in missing if version > gone]
    wiring.history().mark_complete_up_to(record, min(coming, default=versions.stop) - 1)
    return len(lost)


def tell_lost(record: Record, versions: Sequence[int]) -> None:
    """Tell that *versions* of the record were, under the ids they always had. What they were is not known any more.

    Raises:
        Unavailable: a store is down.
    """
    # A first version is always one in which something was made.
    states = [
        replace(record, version=version, made=record.operation if version == 1 else "", deleted=False)
        for version in versions
    ]
    events.tell(states, wiring.subscriptions(), queueing.sender())
    for version in versions:
        wiring.history().add_lost(record, version)
    logs.line().count("versionsLost", len(versions))
