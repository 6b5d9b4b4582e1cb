"""One JSON log record per invocation (canonical log line), and the metrics in the record.

The record is a CloudWatch embedded metric document (EMF), so a request costs one write instead of two. Invocations
share no state: fields live in a context variable, and each `invocation` begins with a new record.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.core.runtime import ids, settings
from chalicelib.core.runtime.once import once

_SERVICE = "holdfast"
#: The variable in which Lambda passes the trace of an invocation.
_TRACE = "_X_AMZN_TRACE_ID"
#: Escapes all but ASCII, so that a stream of any encoding takes the text.
_JSON = json.JSONEncoder(separators=(",", ":"), default=str)


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
    """Write the record, with its metrics, as one line in one write. Never raises, as the invocation is answered.

    The fields are those of `logger`'s records. Powertools builds a log record and a metric set for each line, which
    took more than half of the time of a request without store round trips.
    """
    printer: Any = logger()
    if not printer.isEnabledFor(logging.INFO):
        return
    now, values = time.time(), {"durationMs": round(record.duration_ms, 1), "storeRoundTrips": record.round_trips}
    values |= record.counts
    namespace = settings.load(settings.ObservabilitySettings).namespace
    fields = {
        "level": "INFO",
        "location": "invocation",
        "message": record.fields["kind"],
        "timestamp": _timestamp(now),
        "service": _SERVICE,
        # Stages of one account are told apart.
        "stage": settings.load(settings.HoldfastSettings).stage,
        **record.fields,
        **values,
    }
    if trace := settings.environment().get(_TRACE):
        fields["xray_trace_id"] = trace.partition(";")[0].removeprefix("Root=")
    metrics = f'{{"Timestamp":{int(now * 1000)},"CloudWatchMetrics":[{_metrics(namespace, tuple(values))}]}}'
    _write(printer.registered_handler, f'{_JSON.encode(fields)[:-1]},"_aws":{metrics}}}')


def _write(handler: Any, text: str) -> None:
    handler.acquire()
    try:
        handler.stream.write(text + "\n")
        handler.flush()
    except Exception:  # noqa: BLE001 # as for every handler: a full disk or a closed pipe must not fail the invocation
        handler.handleError(logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "levelname": "INFO"}))
    finally:
        handler.release()


def _timestamp(now: float) -> str:
    date_and_time, zone = _second(int(now))
    return f"{date_and_time},{int(now % 1 * 1000):03}{zone}"


@lru_cache(maxsize=2)
def _second(second: int) -> tuple[str, str]:
    """Return date and time of *second*, and the offset of the zone. Most lines of a busy process share a second."""
    local = time.localtime(second)
    return time.strftime("%Y-%m-%d %H:%M:%S", local), time.strftime("%z", local)


@lru_cache(maxsize=128)
def _metrics(namespace: str, names: tuple[str, ...]) -> str:
    """Return the JSON that makes CloudWatch read the fields *names* as metrics; the same for most lines."""
    units = [{"Name": name, "Unit": "Milliseconds" if name == "durationMs" else "Count"} for name in names]
    return _JSON.encode({"Namespace": namespace, "Dimensions": [["service", "stage"]], "Metrics": units})
