"""A readable line for each log event of a function."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from infra.local.cli import log_follower as module
from infra.local.cli.log_follower import Event, Follower
from infra.local.cli.terminal import line
from tests.support.waiting import eventually

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000).astimezone()


def readable(message: str) -> str:
    return line(Event("api", AT, message)).plain


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "method": "GET",
                "route": "/health",
                "status": 200,
                "durationMs": 3.4,
                "requestId": "r-1",
                "level": "INFO",
            },
            "03:04:05.678 api        200 GET /health  3 ms  r-1",
        ),
        ({"message": "sweep", "durationMs": 12, "level": "INFO"}, "03:04:05.678 api        sweep  12 ms"),
        ({"message": "watch [out]", "level": "WARNING"}, "03:04:05.678 api        WARNING watch [out]"),
        (
            {"message": "boom", "level": "ERROR", "exception": "Traceback:\n  deep\nValueError: boom"},
            "03:04:05.678 api        ERROR boom\nTraceback:\n  deep\nValueError: boom",
        ),
    ],
)
def test_a_json_log_record_becomes_a_readable_line(fields: dict[str, Any], expected: str) -> None:
    assert readable(json.dumps(fields)) == expected


@pytest.mark.parametrize("message", ["plain words", "[1, 2]", "{broken", "[bold]not markup[/bold]"])
def test_any_other_line_is_shown_unchanged(message: str) -> None:
    assert readable(message) == f"03:04:05.678 api        {message}"


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudWatch Logs with a stream for each of two functions."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.01)
    with mock_aws():
        client = botocore.session.Session().create_client(
            "logs", region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="nothing"
        )
        for group in ("/aws/lambda/holdfast-local-api", "/aws/lambda/holdfast-local-sweep", "/aws/lambda/other"):
            client.create_log_group(logGroupName=group)
            client.create_log_stream(logGroupName=group, logStreamName="stream")
        yield client


def put_events(logs: Any, function: str, *messages: str) -> None:
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=f"/aws/lambda/{function}",
        logStreamName="stream",
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )


@contextmanager
def following(logs: Any, *, drop: bool = False) -> Iterator[list[str]]:
    found: list[str] = []
    follower = Follower(
        logs,
        "/aws/lambda/holdfast-local-",
        lambda event: found.append(f"{event.function}: {event.message}"),
        threading.Event(),
        drop=drop,
    )
    follower.start()
    yield found
    follower.stop()


def test_events_of_own_functions_are_shown_once_without_lambdas_own(logs: Any) -> None:
    with following(logs) as found:
        put_events(logs, "holdfast-local-api", "START RequestId: 1", "one", "END RequestId: 1", "REPORT RequestId: 1")
        put_events(logs, "other", "not ours")
        eventually(lambda: found == ["api: one"])
        put_events(logs, "holdfast-local-sweep", "two")
        eventually(lambda: found == ["api: one", "sweep: two"])
        put_events(logs, "holdfast-local-api", "three")
        eventually(lambda: len(found) > 2)
    assert found == ["api: one", "sweep: two", "api: three"]


def test_older_events_are_not_shown(logs: Any) -> None:
    logs.put_log_events(
        logGroupName="/aws/lambda/holdfast-local-api",
        logStreamName="stream",
        logEvents=[{"timestamp": int(time.time() * 1000) - 60_000, "message": "old"}],
    )
    with following(logs) as found:
        put_events(logs, "holdfast-local-api", "new")
        eventually(lambda: found)
    assert found == ["api: new"]


def test_a_large_log_group_is_deleted_after_its_events_are_shown(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 2)

    def groups() -> list[str]:
        found = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/holdfast-")["logGroups"]
        return [group["logGroupName"] for group in found]

    with following(logs, drop=True) as found:
        put_events(logs, "holdfast-local-api", "one", "two", "three")
        eventually(lambda: groups() == ["/aws/lambda/holdfast-local-sweep"])
    assert found == ["api: one", "api: two", "api: three"]


def test_a_short_outage_of_the_endpoint_does_not_end_the_follower(logs: Any) -> None:
    gone = threading.Event()

    def refuse_once(**_: object) -> None:
        if not gone.is_set():
            gone.set()
            raise EndpointConnectionError(endpoint_url="http://nowhere")

    logs.meta.events.register("before-call.logs.DescribeLogGroups", refuse_once)
    with following(logs) as found:
        eventually(gone.is_set)
        put_events(logs, "holdfast-local-api", "after")
        eventually(lambda: found == ["api: after"])
