"""Invokes the scheduled functions, as EventBridge does.

The emulator's rules go by its own ten seconds, so a journey invokes the functions itself at each visit.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"minute": "minutes", "hour": "hours", "day": "days"}


class Schedule(NamedTuple):
    """A function and the interval at which the function is invoked."""

    function: str
    every: timedelta


class Schedules:
    """The enabled schedules of a stage whose functions begin with *prefix*."""

    def __init__(self, client: Callable[[str], Any], prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._last: dict[str, datetime] = {}

    def begin(self, now: datetime) -> None:
        """Count the interval of a function that `run` has not invoked from *now*, as if just invoked."""
        for schedule in self._found():
            self._last.setdefault(schedule.function, now)

    def run(self, now: datetime) -> None:
        """Invoke each function whose interval has passed, once.

        Functions of shorter intervals come first, so a pass of reconciliation finds the work of the sweep.
        """
        for schedule in sorted(self._found(), key=lambda each: each.every):
            if now - self._last.get(schedule.function, now - schedule.every) >= schedule.every:
                self._last[schedule.function] = now
                self._invoke(schedule.function, now)

    def _found(self) -> list[Schedule]:
        events = self._client("events")
        return [
            Schedule(target["Arn"].rpartition(":")[2], every)
            for rule in events.list_rules(NamePrefix=self._prefix)["Rules"]
            if rule.get("State") == "ENABLED" and (every := _interval(rule.get("ScheduleExpression", "")))
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        ]

    def _invoke(self, function: str, now: datetime) -> None:
        event = {
            "version": "0",
            "id": f"lab-{now.timestamp():.0f}",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "region": "us-east-1",
            "resources": [],
            "detail": {},
        }
        self._client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))


def _interval(expression: str) -> timedelta | None:
    """Return the interval of a ``rate(...)`` expression; None for any other expression."""
    words = expression.removeprefix("rate(").removesuffix(")").split()
    if not expression.startswith("rate(") or len(words) != len(("number", "unit")):
        return None
    return timedelta(**{_UNITS[words[1].removesuffix("s")]: int(words[0])})
