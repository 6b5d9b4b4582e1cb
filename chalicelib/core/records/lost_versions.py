"""Finds versions whose stream event was lost for good (older than the 24 h stream retention) and publishes them.

Reading every history to its beginning would take longer than the time between two passes. So each record has a mark
up to which history is complete, and only later versions are looked up. Annotations are no versions and have no event.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.records import events, wiring
from chalicelib.core.records.models import Record
from chalicelib.core.runtime import clock, logs, settings

#: A stream keeps its records for 24 hours; clocks differ by less than the extra hour.
_STREAM = timedelta(hours=25)
#: Versions of one record that one call looks up.
_AT_ONCE = 100


def report(record: Record, complete: int) -> int:
    """Publish lost versions between the mark *complete* and this version; return how many. Safe to repeat.

    A missing version that the stream may still deliver is left to the stream, which has the document.

    Raises:
        Unavailable: a store is down.
    """
    first = max(complete, record.version - settings.load(settings.RecordSettings).kept_versions) + 1
    versions = range(first, min(first + _AT_ONCE, record.version))
    times = wiring.history().times(record, versions) | {record.version: record.updated_at}
    missing = [version for version in versions if version not in times]
    past = clock.stamp(datetime.now(UTC) - _STREAM)
    # The stream drops its oldest records first: a version older than a dropped one is dropped too.
    gone = max((version for version, at in times.items() if at < past), default=0)
    lost = [version for version in missing if version < gone]
    publish_lost(record, lost)
    coming = [version for version in missing if version > gone]
    wiring.history().mark_complete_up_to(record, min(coming, default=versions.stop) - 1)
    return len(lost)


def publish_lost(record: Record, versions: Sequence[int]) -> None:
    """Publish *versions* of the record as lost, under their original event ids, and write them to history.

    Raises:
        Unavailable: a store is down.
    """
    # A first version always created its record.
    states = [
        replace(record, version=version, made=record.operation if version == 1 else "", deleted=False)
        for version in versions
    ]
    events.publish(states, wiring.subscriptions(), queueing.sender())
    for version in versions:
        wiring.history().add_lost(record, version)
    logs.line().count("versionsLost", len(versions))
