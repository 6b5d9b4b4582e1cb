"""One JSON log record per invocation (canonical log line), and the metrics in the record.

The record is a CloudWatch embedded metric document (EMF), so a request costs one write instead of two. Invocations
share no state: fields live in a context variable, and each `invocation` begins with a new record.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.core.runtime import ids, settings
from chalicelib.core.runtime.once import once

_SERVICE = "holdfast"


class LogRecord:
    """The log record of one invocation; code adds fields and counts during the invocation."""

    def __init__(self, kind: str) -> None:
        self.fields: dict[str, Any] = {"kind": kind, "instanceId": ids.INSTANCE_ID}
        self.counts: dict[str, int] = {}
        self.round_trips = 0
        self.duration_ms = 0.0

    def add(self, **fields: Any) -> None:
        """Add *fields* to the log record; fields that are None are left out."""
        self.fields.update({name: value for name, value in fields.items() if value is not None})

    def count(self, name: str, value: int = 1) -> None:
        """Add *value* to the metric *name* of this invocation."""
        self.counts[name] = self.counts.get(name, 0) + value


_current: ContextVar[LogRecord | None] = ContextVar("log_record", default=None)


@once
def logger() -> Logger:
    """Return the process's logger, for the rare record besides the record of an invocation."""
    return Logger(
        service=_SERVICE, level=settings.load(settings.ObservabilitySettings).log_level, serialize_stacktrace=False
    )


def line() -> LogRecord:
    """Return the log record of the current invocation, or a throwaway record when there is none."""
    return _current.get() or LogRecord("none")


@contextmanager
def invocation(kind: str) -> Iterator[LogRecord]:
    """Time the block and print the invocation's one log record, also if the block raises."""
    current = LogRecord(kind)
    try:
        with resume(current):
            yield current
    finally:
        write(current)


@contextmanager
def resume(record: LogRecord) -> Iterator[None]:
    """Make *record* the current log record inside the block, and add the block's time. `write` prints *record*."""
    token, started = _current.set(record), perf_counter()
    try:
        yield
    finally:
        _current.reset(token)
        record.duration_ms += (perf_counter() - started) * 1000


def failed(action: str, error: BaseException) -> None:
    """Log a bug with its traceback, under the current request's id."""
    logger().error(
        str(error) or type(error).__name__,
        exc_info=error,
        extra={"action": action, "requestId": line().fields.get("requestId")},
    )


def count_round_trip(**_: Any) -> None:
    """Count one call to a store. botocore calls this function as an event handler, with arguments that are ignored."""
    if current := _current.get():
        current.round_trips += 1


def write(record: LogRecord) -> None:
    """Print *record*."""
    metrics = EphemeralMetrics(namespace=settings.load(settings.ObservabilitySettings).namespace, service=_SERVICE)
    # Stages of one account are told apart.
    metrics.add_dimension(name="stage", value=settings.load(settings.HoldfastSettings).stage)
    metrics.add_metric(name="durationMs", unit=MetricUnit.Milliseconds, value=round(record.duration_ms, 1))
    metrics.add_metric(name="storeRoundTrips", unit=MetricUnit.Count, value=record.round_trips)
    for name, value in record.counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    document = metrics.serialize_metric_set()
    # Powertools writes every value as a list; EMF allows a plain number too, and a plain number reads better.
    values = {name: value[0] if isinstance(value, list) else value for name, value in document.items()}
    logger().info(record.fields["kind"], extra={**record.fields, **values})
