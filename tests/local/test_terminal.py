"""Reports of a start in the background, through a pipe."""

import json
import os

from infra.local.cli.terminal import PipeReporter


def test_reports_through_the_pipe_end_when_the_stack_is_ready() -> None:
    reading, writing = os.pipe()
    reporter = PipeReporter(writing)
    # When the stack starts, and later redeploys a saved change
    reporter.step("database", 0.5)
    reporter.ready(
        "http://localhost:8000",
        "http://127.0.0.1:8001",
        "with the given password",
        None,
        1.0,
        functions="Python 3.13.0",
    )
    reporter.step("package", 0.5)
    reporter.failed("a child ended")
    # Then
    with os.fdopen(reading) as reports:
        assert [json.loads(line)[0] for line in reports] == ["step", "ready"]
