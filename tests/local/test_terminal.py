"""What is shown, where a person is not at the terminal."""

import json
import os

from infra.local.cli.terminal import Reporter


def test_whoever_started_it_in_the_background_is_told_until_it_is_up() -> None:
    reading, writing = os.pipe()
    reporter = Reporter(writing)
    # When it starts, and redeploys a saved change later
    reporter.step("database", 0.5)
    reporter.ready("http://localhost:8000", None, 1.0)
    reporter.step("package", 0.5)
    reporter.failed("a child ended")
    # Then
    with os.fdopen(reading) as told:
        assert [json.loads(line)[0] for line in told] == ["step", "ready"]
