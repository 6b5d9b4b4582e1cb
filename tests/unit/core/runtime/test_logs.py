import io
import json
import logging
from typing import Any

import pytest

from chalicelib.core.runtime import logs
from tests.unit.conftest import Printed


class Counting(Printed):
    """A stream that counts its writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


class Broken(io.StringIO):
    """A stream whose disk is full."""

    def write(self, _text: str) -> int:
        raise OSError("No space left on device")


def use(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.logger()
    for handler in logging.getLogger("holdfast").handlers:
        monkeypatch.setattr(handler, "stream", stream)


def test_invocation_prints_one_line_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Counting()
    use(stream, monkeypatch)
    with logs.invocation("request") as line:
        line.add(route="/health")
    assert (stream.writes, len(stream.lines())) == (1, 1)


def test_full_disk_does_not_fail_the_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Broken(), monkeypatch)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logs.invocation("request") as line:
        line.add(route="/health")


def test_counts_of_an_invocation_are_metrics_and_fields(printed: Printed) -> None:
    with logs.invocation("message") as line:
        line.count("callsReplayed", 2)
    (record,) = printed.lines()
    assert record["callsReplayed"] == 2
    metrics = record["_aws"]["CloudWatchMetrics"][0]
    assert {"Name": "callsReplayed", "Unit": "Count"} in metrics["Metrics"]
    assert metrics["Dimensions"] == [["service", "stage"]]


def test_record_has_the_fields_of_other_log_lines(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    with logs.invocation("request"):
        logs.logger().info("beside")
    beside, record = printed.lines()
    assert beside.keys() <= record.keys()
    assert (record["xray_trace_id"], record["level"]) == (beside["xray_trace_id"], beside["level"])
    assert record["timestamp"][:10] == beside["timestamp"][:10]
    assert len(record["timestamp"]) == len(beside["timestamp"])


def test_record_is_not_printed_below_the_log_level(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("holdfast"), "isEnabledFor", lambda level: level >= logging.WARNING)
    with logs.invocation("request"):
        pass
    assert not printed.getvalue()


def test_record_of_any_text_is_json_in_ascii(printed: Printed) -> None:
    value: Any = "é\ud800"
    with logs.invocation("request") as line:
        line.add(route=value)
    assert printed.getvalue().isascii()
    assert json.loads(printed.getvalue())["route"] == value
