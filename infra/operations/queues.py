"""``scripts/queues``: the command line for queues and their dead letters, of a running stack or of a deployed stage."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from chalicelib import slices
from chalicelib.core.coordination.counts import Counts
from chalicelib.core.queueing import queues
from chalicelib.core.queueing.dead_letters import MOVE_SECONDS, PEEK_SECONDS, DeadLetter, DeadLetterQueue, prefix_of
from chalicelib.core.queueing.sender import Sender
from chalicelib.core.stores.dynamodb import Table
from infra.operations.progress import escaped, progress
from infra.operations.target import STACKS, reporting, stack_options, target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operations.target import Target

DESCRIPTION = """\
Looks into the queues and their dead letters. A message that can never succeed, or has failed too often, is buried
in its queue's dead-letter queue with the reason; once the cause is mended, it can be sent back and is worked on again.
"""
EPILOG = """\
examples:
  scripts/queues list                          how much waits, is being done, was done, is dead
  scripts/queues peek approval                 why letters of the queue `approval` died; they stay where they are
  scripts/queues peek approval --json | jq .body
  scripts/queues redrive approval              send all of them back
  scripts/queues redrive approval --id 0a1b… --id 2c3d…
  scripts/queues purge approval                delete its dead letters, after a question
  scripts/queues list --stage prod             of the AWS account of your credentials
"""
_STATES = ("pending", "processing", "completed", "failed", "dead")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return what was asked for."""
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
        made.add_argument("queue", choices=[queue.name for queue in slices.QUEUES], help="whose letters")
        return made.add_argument

    command("list", list_queues, "show every queue").add_argument("--json", action="store_true", help="as JSON")
    add = of_queue(command("peek", peek, "show dead letters, with why they died; nothing is taken away"))
    add("--limit", type=int, default=20, metavar="N", help="how many at most (%(default)s)")
    add("--json", action="store_true", help="one JSON object per line")
    add = of_queue(command("redrive", redrive, "send dead letters back to their queue, to be worked on again"))
    add("--id", action="append", metavar="ID", help="only this letter, as `peek` calls it; may be repeated")
    add = of_queue(command("purge", purge, "delete dead letters for good"))
    add("--waiting", action="store_true", help="delete the messages that wait to be worked on instead")
    add("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def list_queues(target: Target, asked: argparse.Namespace) -> int:
    """Print the figures of every queue."""
    sqs = target.client("sqs")
    mail = Sender(sqs, prefix_of(sqs, target.stage, slices.QUEUES))
    counts = Counts(Table(target.client("dynamodb"), f"holdfast-{target.stage}-coordination"))
    counted = counts.read([queue.name for queue in slices.QUEUES], ("completed", "failed"))
    figures = {queue.name: mail.depth(queue).model_dump() | counted[queue.name] for queue in slices.QUEUES}
    if asked.json:
        print(json.dumps(figures))
        return 0
    print(f"{target.stage} at {target.where}")
    width = max(map(len, figures))
    print(" ".join([" " * width, *(f"{state:>11}" for state in _STATES)]))
    for name, figure in figures.items():
        print(" ".join([f"{name:<{width}}", *(f"{figure[state]:>11}" for state in _STATES)]))
    return 0


def peek(target: Target, asked: argparse.Namespace) -> int:
    """Print letters and leave them where they are."""
    box = _box(target, asked.queue)
    dead = _dead(target, asked.queue)
    with progress() as task, box.held(PEEK_SECONDS, asked.limit, task("reading", min(dead, asked.limit))):
        letters = box.letters
    for letter in letters:
        print(_as_json(letter) if asked.json else _as_text(letter))
    if not asked.json:
        print(f"{len(letters)} of about {max(dead, len(letters))} letters in {box.queue.dead_letters}.")
    return 0


def redrive(target: Target, asked: argparse.Namespace) -> int:
    """Send letters back, and say how many. Those that die meanwhile stay: nothing goes round in circles."""
    box = _box(target, asked.queue)
    dead = _dead(target, asked.queue)
    with progress() as task, box.held(MOVE_SECONDS, on_letters=task("reading", dead)):
        wanted = [letter for letter in box.letters if asked.id is None or letter.id in asked.id]
        sent = task("sending back", len(wanted))
        for letter in wanted:
            box.send_back(letter)
            sent(1)
    print(f"{len(wanted)} letters sent back to {asked.queue}.")
    missing = set(asked.id or ()) - {letter.id for letter in wanted}
    for letter_id in sorted(missing):
        print(f"There is no letter {letter_id} in {box.queue.dead_letters}.", file=sys.stderr)
    return 1 if missing else 0


def purge(target: Target, asked: argparse.Namespace) -> int:
    """Delete, after the queue's name was typed."""
    box = _box(target, asked.queue)
    name = asked.queue if asked.waiting else box.queue.dead_letters
    about = "all its messages" if asked.waiting else f"its {_dead(target, asked.queue)} letters"
    if not asked.yes and not _confirmed(f"This deletes {about} of {target.stage} at {target.where} for good.", name):
        print("Nothing was deleted.")
        return 1
    box.purge(waiting=asked.waiting)
    print(f"{name} is emptied; AWS takes up to a minute for it.")
    return 0


def _box(target: Target, name: str) -> DeadLetterQueue:
    sqs = target.client("sqs")
    return DeadLetterQueue(sqs, prefix_of(sqs, target.stage, slices.QUEUES), queues.named(name))


def _dead(target: Target, name: str) -> int:
    sqs = target.client("sqs")
    return Sender(sqs, prefix_of(sqs, target.stage, slices.QUEUES)).depth(queues.named(name)).dead


def _confirmed(warning: str, name: str) -> bool:
    print(warning)
    try:
        return input(f"Type {name} to go on: ").strip() == name
    except EOFError:
        return False


def _as_json(letter: DeadLetter) -> str:
    shown = {"id": letter.id, "reason": letter.reason, "causedBy": letter.caused_by, "body": letter.body}
    return json.dumps({**shown, "ageSeconds": round(letter.age_seconds)})


def _as_text(letter: DeadLetter) -> str:
    cause = f", caused by request {escaped(letter.caused_by)}" if letter.caused_by else ""
    return f"{letter.id}  {_age(letter.age_seconds)} old{cause}\n  {escaped(letter.reason)}\n  {escaped(letter.body)}\n"


def _age(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def main(arguments: list[str]) -> int:
    """Do what was asked for and return the exit code."""
    asked = parsed(arguments)
    with reporting(asked.command):
        code: int = asked.run(target_of(asked, os.environ), asked)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
