"""The deployed queues: mappings, statistics, dead letters, and the commands of scripts/queues."""

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib import slices
from chalicelib.core.queueing import keeper, queues
from chalicelib.core.queueing.sender import Sender
from infra.local.stack import Stack
from infra.operations import queues as command
from tests.support.client import Client, json_of, problem_of
from tests.support.extra_worker import ExtraWorker
from tests.support.queue import dead_letter
from tests.support.stack import STAGE, NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: A function may first have to start, and a message to come again.


def _dead_letter(extra: ExtraWorker, name: str, **fields: str) -> None:
    """Send a dead letter to the extra queue's dead-letter queue, and wait until it is stored."""
    letter = dead_letter(name, queue=extra.queue.name, **fields)
    extra.sender.dead_letter(extra.queue, letter)
    eventually(lambda: letter.id in [found.id for found in extra.letters])


def _attributes(stack: Stack, name: str) -> dict[str, str]:
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=f"holdfast-{STAGE}-{name}")["QueueUrl"]
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


@pytest.mark.parametrize("queue", slices.QUEUES, ids=lambda queue: queue.name)
def test_a_queue_is_deployed_as_it_is_declared(stack: Stack, queue: queues.Queue) -> None:
    alive, dead = _attributes(stack, queue.name), _attributes(stack, queue.dead_letters)
    assert int(alive["VisibilityTimeout"]) == queue.visibility_seconds
    redrive = json.loads(alive["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == queues.MOST_RECEIVES
    for found in (alive, dead):
        assert int(found["MessageRetentionPeriod"]) == queues.RETENTION_SECONDS


def test_every_mapping_reports_failures_and_is_bounded_as_declared(stack: Stack) -> None:
    functions = stack.client("lambda")
    mappings = [
        mapping
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]
        if ":sqs:" in mapping["EventSourceArn"]
    ]
    names = [mapping["EventSourceArn"].rpartition(f":holdfast-{STAGE}-")[2] for mapping in mappings]
    found = {name: mapping for name, mapping in zip(names, mappings, strict=True) if not name.startswith("scratch-")}
    assert sorted(found) == sorted(name for queue in slices.QUEUES for name in (queue.name, queue.dead_letters))
    for queue in slices.QUEUES:
        keeping = found.pop(queue.dead_letters)
        assert keeping["FunctionArn"].endswith(f":holdfast-{STAGE}-{keeper.NAME}")
        assert keeping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    for name, mapping in found.items():
        queue = queues.named(name)
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BatchSize"] == queue.batch_size
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": queue.concurrency}
        assert mapping["State"] == "Enabled"
        function = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])
        visibility = int(_attributes(stack, name)["VisibilityTimeout"])
        assert function["Timeout"] == queue.timeout_seconds <= visibility


def test_a_purge_asks_for_the_name_of_the_queue(
    extra: ExtraWorker, running: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _dead_letter(extra, "a", reason="a \u009b reason that a terminal would obey")
    for typed, code in (("yes", 1), (extra.queue.dead_letters, 1), (extra.queue.name, 0)):
        monkeypatch.setattr("builtins.input", lambda _, typed=typed: typed)
        assert command.main(["purge", extra.queue.name, *running]) == code
    assert f"deletes 1 dead letters of {extra.queue.name}" in capsys.readouterr().out
    assert extra.letters == []


def test_a_redrive_of_an_unknown_dead_letter_fails(
    extra: ExtraWorker, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _dead_letter(extra, "a", body="body \x7f")
    assert command.main(["redrive", extra.queue.name, "--id", "nobody", *running]) == 1
    assert "no dead letter nobody" in capsys.readouterr().err
    assert command.main(["peek", extra.queue.name, *running]) == 0
    assert "body \\u007f" in capsys.readouterr().out
    assert command.main(["purge", extra.queue.name, "--yes", *running]) == 0


def test_a_look_hides_no_dead_letter_from_others(
    extra: ExtraWorker, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        _dead_letter(extra, f"{number:x}")
    for _ in range(2):
        assert command.main(["peek", extra.queue.name, "--json", *running]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 12
    assert command.main(["purge", extra.queue.name, "--yes", *running]) == 0


def test_the_command_list_shows_the_statistics_of_the_api(
    extra: ExtraWorker, admin: Client, running: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["list", *running]) == 0
    assert extra.queue.name in capsys.readouterr().out
    assert command.main(["list", "--json", *running]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures[extra.queue.name]["completed"] == extra.read_counts()[0]


def test_a_command_without_a_stack_names_scripts_up(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="scripts/up"):
        command.main(["list", "--data", str(tmp_path)])


def test_an_unknown_stage_ends_the_command_with_a_message(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    assert command.main(["list"]) == 0
    with pytest.raises(SystemExit, match="nowhere"):
        command.main(["list", "--stage", "nowhere"])


def test_a_sender_outside_of_functions_finds_the_queues(stack: Stack) -> None:
    mail = Sender(stack.client("sqs"), stack.environment["QUEUES_URL_PREFIX"])
    for queue in slices.QUEUES:
        assert mail.depth(queue).dead >= 0


def test_queue_stats_make_three_round_trips_per_queue(stack: Stack, person: NewPerson) -> None:
    # A new session: an older session would cost a further write.
    request_id = person("admin").client.get("/api/admin/queue-stats").headers["X-Request-Id"]

    def line() -> dict[str, Any] | None:
        pages = (
            stack.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/holdfast-{STAGE}-api")
        )
        texts = [event["message"] for page in pages for event in page["events"]]
        return next((json.loads(text) for text in texts if request_id in text and text.startswith("{")), None)

    # The session, the counts of all queues at once, and each queue with its dead letters in SQS and in the table; then
    # the lanes
    lanes = sum(len(slice_.loads) for slice_ in slices.SLICES)
    assert eventually(line)["storeRoundTrips"] == 2 + 3 * len(slices.QUEUES) + lanes


def test_queue_stats_cover_every_queue(admin: Client) -> None:
    stats = json_of(admin.get("/api/admin/queue-stats"))
    assert sorted(stats["queues"]) == sorted(queue.name for queue in slices.QUEUES)
    for figures in stats["queues"].values():
        assert sorted(figures) == ["completed", "dead", "failed", "pending", "processing"]
    for state in ("pending", "processing", "completed", "failed"):
        assert stats[state] == sum(figures[state] for figures in stats["queues"].values())


def test_queue_stats_need_an_administrator(stack: Stack, person: NewPerson) -> None:
    for role in ("user", "service", "officer"):
        problem_of(person(role).client.get("/api/admin/queue-stats"), 403)
    problem_of(Client(stack.url).get("/api/admin/queue-stats"), 401)
