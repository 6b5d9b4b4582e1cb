"""Follows the functions' logs in CloudWatch Logs, event by event."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The pause between two reads while events arrive, and while none do.
BUSY_SECONDS, IDLE_SECONDS = 0.25, 3.0
#: Events of the same moment may become visible at different times; each read looks back this far for late events.
OVERLAP_MS = 2_000
#: The emulator opens a stream for each invocation and each read scans all streams, so a group this large is deleted.
MOST_EVENTS = 10_000
#: The platform's own lines for each invocation; the application's log record holds the same facts.
PLATFORM = ("START RequestId:", "END RequestId:", "REPORT RequestId:")


class Event(NamedTuple):
    """A line that a function printed."""

    function: str
    at: datetime
    message: str

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a structured log record, empty for any other line."""
        try:
            fields = json.loads(self.message)
        except ValueError:
            return {}
        return fields if isinstance(fields, dict) else {}


class Group:
    """A function's log group, read forward from a moment."""

    def __init__(self, client: Any, name: str, since_ms: int) -> None:
        self._client = client
        self._name = name
        self._since_ms = since_ms
        self._seen: dict[tuple[str, int, str], int] = {}
        self._read_count = 0

    def fresh(self, prefix: str) -> Iterator[Event]:
        """Yield the events not yielded before, without the platform's own lines."""
        for event in self._events():
            key = (event["logStreamName"], event["timestamp"], event["message"])
            if key in self._seen:
                continue
            self._seen[key] = event["timestamp"]
            self._since_ms = max(self._since_ms, event["timestamp"] - OVERLAP_MS)
            self._read_count += 1
            if not event["message"].startswith(PLATFORM):
                at = datetime.fromtimestamp(event["timestamp"] / 1000).astimezone()
                yield Event(self._name.removeprefix(prefix), at, event["message"].rstrip())
        self._seen = {key: at for key, at in self._seen.items() if at >= self._since_ms}

    def drop_if_large(self) -> None:
        """Delete a group that has grown large. The next invocation makes the group anew."""
        if self._read_count > MOST_EVENTS:
            self._client.delete_log_group(logGroupName=self._name)
            self._read_count = 0

    def _events(self) -> Iterator[dict[str, Any]]:
        asked = {"logGroupName": self._name, "startTime": self._since_ms}
        while True:
            answer = self._client.filter_log_events(**asked)
            yield from answer["events"]
            if not answer.get("nextToken"):
                return
            asked["nextToken"] = answer["nextToken"]


class Follower:
    """Reads every group under *prefix* in a thread of its own, and calls *show* with each new event.

    The proxy sets *stirred* after each answer; without *stirred* or new events the reads are rare (three seconds). With
    *drop*, large groups are deleted.
    """

    def __init__(
        self, client: Any, prefix: str, show: Callable[[Event], None], stirred: threading.Event, *, drop: bool
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._show = show
        self._stirred = stirred
        self._drop = drop
        self._since_ms = int(time.time() * 1000)
        self._groups: dict[str, Group] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def start(self) -> None:
        """Show events logged from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; wait up to two seconds for the thread to end."""
        self._stopping = True
        self._stirred.set()
        self._thread.join(timeout=2)

    def _follow(self) -> None:
        while not self._stopping:
            try:
                found = self._read()
            except (BotoCoreError, ClientError):
                # The endpoint restarts, or a group was deleted during the read. The next read tries again.
                found = False
            self._stirred.wait(BUSY_SECONDS if found else IDLE_SECONDS)
            time.sleep(0 if self._stopping else BUSY_SECONDS)
            self._stirred.clear()

    def _read(self) -> bool:
        events = [event for group in self._present_groups() for event in group.fresh(self._prefix)]
        for event in sorted(events, key=lambda event: event.at):
            self._show(event)
        if self._drop:
            for group in self._groups.values():
                group.drop_if_large()
        return bool(events)

    def _present_groups(self) -> list[Group]:
        found = self._client.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
        names = [group["logGroupName"] for group in found]
        for name in names:
            self._groups.setdefault(name, Group(self._client, name, self._since_ms))
        return [self._groups[name] for name in names]
