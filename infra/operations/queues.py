"""``scripts/queues``: shows queues and manages their dead letters, of a running stack or of a deployed stage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib import slices
from chalicelib.core.coordination.counts import Counts
from chalicelib.core.queueing import queues
from chalicelib.core.queueing.dead_letters import COUNTED, TABLE, DeadLetter, DeadLetters
from chalicelib.core.queueing.redrive import Redrive
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores.dynamodb import Table
from chalicelib.core.stores.sorted import SortedTable
from infra.operations.failures import reporting
from infra.operations.progress import escaped, progress
from infra.operations.target import STACKS, not_deployed, stack_options, target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operations.target import Target

DESCRIPTION = """\
Shows queues and manages their dead letters. A message that can never succeed, or that has failed too often, becomes a
dead letter of its queue, together with the reason. Once the cause is repaired, a dead letter can be sent back
to its queue and is worked on again.
"""
EPILOG = """\
examples:
  scripts/queues list                          count messages: pending, processing, completed, failed, dead
  scripts/queues peek approval                 show dead letters of the queue `approval` with reasons; change nothing
  scripts/queues peek approval --json | jq .body
  scripts/queues redrive approval              send all dead letters back to the queue
  scripts/queues redrive approval --id 0a1b… --id 2c3d…
  scripts/queues purge approval                delete the queue's dead letters, after a confirmation
  scripts/queues list --stage prod             the stage prod in the AWS account of your credentials
"""
_STATES = ("pending", "processing", "completed", "failed", "dead")
#: SQS's codes for a queue that does not exist, in its two protocols.
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    shared = stack_options()
    parser = argparse.ArgumentParser(
        prog="scripts/queues",
        description=DESCRIPTION,
        epilog=EPILOG + STACKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Target, argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[shared], help=about, description=about.capitalize() + ".")
        made.set_defaults(run=run)
        return made

    def of_queue(made: argparse.ArgumentParser) -> Callable[..., argparse.Action]:
        made.add_argument("queue", choices=[queue.name for queue in slices.QUEUES], help="name of the queue")
        return made.add_argument

    command("list", list_queues, "show every queue").add_argument("--json", action="store_true", help="as JSON")
    add = of_queue(command("peek", peek, "show dead letters with their reasons; delete nothing"))
    add("--limit", type=int, default=20, metavar="N", help="show at most N dead letters (%(default)s)")
    add("--json", action="store_true", help="a JSON object per line")
    add = of_queue(command("redrive", redrive, "send dead letters back to their queue, to be worked on again"))
    add("--id", action="append", metavar="ID", help="send back only the dead letter ID, as shown by `peek`; repeatable")
    add = of_queue(command("purge", purge, "delete dead letters for good"))
    add("--waiting", action="store_true", help="delete the waiting messages of the queue instead of its dead letters")
    add("--yes", action="store_true", help="do not ask for confirmation")
    return parser.parse_args(arguments)


def list_queues(target: Target, asked: argparse.Namespace) -> int:
    """Print the message counts of every queue."""
    sender, letters = _sender(target), _letters(target)
    counts = Counts(Table(target.client("dynamodb"), f"holdfast-{target.stage}-coordination"))
    ended = counts.read([queue.name for queue in slices.QUEUES], ("completed", "failed"))
    metrics = {queue.name: sender.depth(queue).model_dump() | ended[queue.name] for queue in slices.QUEUES}
    for name, by_state in metrics.items():
        by_state["dead"] += letters.count(name)
    if asked.json:
        print(json.dumps(metrics))
        return 0
    print(f"{target.stage} at {target.where}")
    width = max(map(len, metrics))
    print(" ".join([" " * width, *(f"{state:>11}" for state in _STATES)]))
    for name, by_state in metrics.items():
        print(" ".join([f"{name:<{width}}", *(f"{by_state[state]:>11}" for state in _STATES)]))
    return 0


def peek(target: Target, asked: argparse.Namespace) -> int:
    """Print dead letters; change none."""
    letters = _letters(target)
    found = letters.page(asked.queue, asked.limit)
    for letter in found:
        print(_as_json(letter) if asked.json else _as_text(letter))
    if not asked.json:
        print(f"{len(found)} of {_counted(letters.count(asked.queue))} dead letters of {asked.queue}.")
    return 0


def redrive(target: Target, asked: argparse.Namespace) -> int:
    """Send dead letters back to their queue and print their number.

    A message that is dead-lettered meanwhile stays a dead letter, so no message circulates.
    """
    letters, queue = _letters(target), queues.named(asked.queue)
    redriving = Redrive(letters, _sender(target), queue)
    chosen = letters.named(asked.queue, asked.id) if asked.id else None
    with progress() as task:
        sent = task("sending back", letters.count(asked.queue) if chosen is None else len(chosen))
        step = _shown(sent)
        handled = redriving.send_all_back(step) if chosen is None else redriving.send_back(chosen, step)
    print(f"{handled.number} dead letters sent back to {asked.queue}.")
    missing = set(asked.id or ()) - {letter.id for letter in chosen or ()}
    for letter_id in sorted(missing):
        print(f"There is no dead letter {letter_id} of {asked.queue}.", file=sys.stderr)
    return 1 if missing else 0


def purge(target: Target, asked: argparse.Namespace) -> int:
    """Delete dead letters, or waiting messages, after the queue's name was typed. ``--yes`` skips the question."""
    letters, queue = _letters(target), queues.named(asked.queue)
    content = "all waiting messages" if asked.waiting else f"{_counted(letters.count(queue.name))} dead letters"
    warning = f"This deletes {content} of {queue.name}, {target.stage} at {target.where}, for good."
    if not asked.yes and not _confirmed(warning, queue.name):
        print("Nothing was deleted.")
        return 1
    if asked.waiting:
        _sender(target).purge(queue)
        print(f"{queue.name} is emptied; AWS takes up to a minute to delete the messages.")
        return 0
    with progress() as task:
        handled = Redrive(letters, _sender(target), queue).purge(
            _shown(task("deleting", letters.count(queue.name))),
        )
    print(f"{handled.number} dead letters of {queue.name} deleted.")
    return 0


def _letters(target: Target) -> DeadLetters:
    return DeadLetters(SortedTable(target.client("dynamodb"), f"holdfast-{target.stage}-{TABLE}"))


def _sender(target: Target) -> Sender:
    sqs = target.client("sqs")
    name = slices.QUEUES[0].name
    url: str = sqs.get_queue_url(QueueName=f"holdfast-{target.stage}-{name}")["QueueUrl"]
    return Sender(sqs, url.removesuffix(name))


def _shown(advance: Callable[[int], None]) -> Callable[[int], bool]:
    """Return a step of a redrive that shows its progress and goes on."""

    def step(number: int) -> bool:
        advance(number)
        return True

    return step


def _counted(number: int) -> str:
    return f"{number}" if number < COUNTED else f"{COUNTED:,} or more"


def _confirmed(warning: str, name: str) -> bool:
    print(warning)
    try:
        return input(f"Type {name} to continue: ").strip() == name
    except EOFError:
        return False


def _as_json(letter: DeadLetter) -> str:
    shown = {"id": letter.id, "reason": letter.reason, "attempts": letter.attempts, "causedBy": letter.caused_by}
    return json.dumps({**shown, "body": letter.body, "deadAt": letter.dead_at.isoformat().replace("+00:00", "Z")})


def _as_text(letter: DeadLetter) -> str:
    cause = f", caused by request {escaped(letter.caused_by)}" if letter.caused_by else ""
    age = _age((datetime.now(UTC) - letter.dead_at).total_seconds())
    return f"{letter.id}  {age} old{cause}\n  {escaped(letter.reason)}\n  {escaped(letter.body)}\n"


def _age(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    asked = parsed(arguments)
    with reporting(asked.command):
        target = target_of(asked, os.environ)
        try:
            code: int = asked.run(target, asked)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_QUEUE:
                raise
            raise not_deployed(target) from error
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
