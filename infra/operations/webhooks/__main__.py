"""``scripts/webhooks``: the command line that shows deliveries and checks saved ones."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infra.environment import ROOT
from infra.operations.account import account
from infra.operations.failures import reporting
from infra.operations.progress import escaped
from infra.operations.webhooks import endpoint
from infra.operations.webhooks.listener import Answer, listening
from infra.operations.webhooks.verdict import ID, SIGNATURE, TIMESTAMP, VERIFIED, is_secret, signed_at, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from infra.operations.webhooks.listener import Delivery

DESCRIPTION = """\
Shows the deliveries of a webhook as they arrive on this machine, with a verdict on each signature, and checks a saved
delivery.
"""
EPILOG = """\
examples:
  scripts/webhooks listen --make             make a webhook at the stack of scripts/up, show its deliveries, and delete
                                             the webhook at Ctrl-C
  scripts/webhooks listen --secret whsec_…   show the deliveries of your webhook to http://127.0.0.1:8099
  scripts/webhooks listen --make --full      show bodies too
  scripts/webhooks listen --make --answer 500                     fail, and see the repeats
  scripts/webhooks listen --make --answer 429 --retry-after 20    ask for a pause of 20 s
  scripts/webhooks verify --secret whsec_… --headers headers.txt --body body.json
  scripts/webhooks verify --secret whsec_… --id dlv_… --timestamp 1795694671 --signature v1,… --body body.json

A stack calls addresses of its own machine only if scripts/up runs the stack. docs/webhooks.md has the first webhook.
"""
_FORM = "must be whsec_ and 24 to 64 bytes in base64. Copy it whole, from the answer that made the webhook"
_PORT = 8099
_LAST_PORT = 65_535


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/webhooks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _listen_options(commands.add_parser("listen", help="take deliveries and show them, until Ctrl-C"))
    _verify_options(commands.add_parser("verify", help="check the signature of a saved delivery"))
    asked = parser.parse_args(arguments)
    if asked.command == "listen" and asked.make and asked.secret:
        parser.error("--secret has no effect with --make: the made webhook has a secret of its own")
    return asked


def _listen_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Takes deliveries on 127.0.0.1 and prints a line for each: time, type, id, sequence, verdict."
    parser.set_defaults(run=listen)
    add = parser.add_argument
    add("--port", type=_whole(_LAST_PORT), default=_PORT, metavar="N", help="0: any free port (%(default)s)")
    add(
        "--secret", type=_secret, action="append", default=[], metavar="whsec_…", help="secret to verify by; repeatable"
    )
    add("--full", action="store_true", help="print the headers of the signature and the body of each delivery too")
    add("--answer", type=int, choices=(200, 204, 410, 429, 500, 503), default=204, help="the answer (%(default)s)")
    add("--retry-after", type=_whole(86_400), metavar="S", help="ask for a pause of S seconds before the next attempt")
    add(
        "--make",
        action="store_true",
        help="make a webhook for all events at the running stack, and delete it at the end",
    )
    who = "administrator who makes the webhook (%(default)s), with the password of HOLDFAST_ADMIN_PASSWORD, else asked"
    add("--username", default="admin", metavar="NAME", help=who)
    data = "data folder of the running stack (.holdfast)"
    add("--data", type=Path, default=ROOT / ".holdfast", metavar="DIR", help=data)
    add("--any-time", action="store_true", help="ignore the age of signatures, as of a stack whose clock is ahead")


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Checks a saved delivery and says which part does not fit. The exit code is 0 for a verified one."
    )
    parser.set_defaults(run=verify)
    add = parser.add_argument
    add("--secret", type=_secret, action="append", required=True, metavar="whsec_…", help="the webhook's; repeatable")
    add("--body", type=Path, required=True, metavar="FILE", help="the body as it came, byte for byte")
    add("--headers", type=Path, metavar="FILE", help="the headers, each a line `Name: value`")
    add("--id", metavar="ID", help="the header webhook-id")
    add("--timestamp", metavar="SECONDS", help="the header webhook-timestamp")
    add("--signature", metavar="v1,…", help="the header webhook-signature")
    add("--any-time", action="store_true", help="ignore the age of the signature")


def _secret(text: str) -> str:
    if not is_secret(text):
        # Without the text, which may be most of a secret.
        raise argparse.ArgumentTypeError(_FORM)
    return text


def _whole(most: int) -> Callable[[str], int]:
    """Return a type of options: whole numbers from 0 to *most*."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {most}")
        return int(text)

    return read


def listen(asked: argparse.Namespace) -> int:
    """Print each delivery until Ctrl-C. A webhook of ``--make`` is deleted then, and at SIGTERM or SIGHUP."""
    secrets, any_time = asked.secret, asked.any_time
    with suppress(KeyboardInterrupt), ExitStack() as ending:
        # The listener first: a taken port makes no webhook, and the listener answers until the webhook is deleted.
        listener = ending.enter_context(listening(asked.port, Answer(asked.answer, asked.retry_after)))
        if asked.make:
            run = endpoint.running(asked.data.resolve())
            # A stack of scripts/up --lab signs by a clock of its own.
            any_time = any_time or "FAKETIME_TIMESTAMP_FILE" in run.environment
            _end_by_signals()
            owner = account(run.url, asked.username, os.environ)
            made = ending.enter_context(endpoint.webhook(owner, listener.url))
            secrets = [made.secret]
            _announce(made, run.url)
        print(f"Listening on {listener.url}. Ctrl-C ends.", flush=True)
        show(listener.deliveries(), asked, secrets, any_time=any_time)
    return 0


def _end_by_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A signal that is ignored stays so, as under nohup.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _announce(made: endpoint.Made, url: str) -> None:
    print(f"The webhook {made.id} sends every event of {url} here, until Ctrl-C. A receiver verifies by its secret:")
    print(f"  {made.secret}")


def show(
    deliveries: Iterable[Delivery], asked: argparse.Namespace, secrets: Sequence[str], *, any_time: bool = False
) -> None:
    """Print each of *deliveries*, with the verdict and the answer. A repeat shows which call of its id it is."""
    answer = Answer(asked.answer, asked.retry_after)
    calls: Counter[str] = Counter()
    for delivery in deliveries:
        said = verdict(secrets, delivery.body, delivery.headers, delivery.at, any_time=any_time)
        name = delivery.headers.get(ID, "-")
        calls[name] += 1
        repeat = [f"call {calls[name]}"] if calls[name] > 1 and name != "-" else []
        at = delivery.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sequence = f"sequence {delivery.field('sequence')}"
        parts = [at, delivery.field("type"), name, sequence, *repeat, said, f"answered {answer}"]
        print("  ".join(map(escaped, parts)), flush=True)
        if asked.full:
            _print_whole(delivery)


def _print_whole(delivery: Delivery) -> None:
    for name in (ID, TIMESTAMP, SIGNATURE):
        print(f"  {name}: {escaped(delivery.headers.get(name, '-'))}")
    print(f"  {escaped(delivery.body.decode(errors='backslashreplace'))}\n", flush=True)


def verify(asked: argparse.Namespace) -> int:
    """Print the verdict on a saved delivery; return 0 if it is verified, else 1."""
    headers = _headers(asked.headers) if asked.headers else {}
    given = {ID: asked.id, TIMESTAMP: asked.timestamp, SIGNATURE: asked.signature}
    headers |= {name: value for name, value in given.items() if value is not None}
    said = verdict(asked.secret, asked.body.read_bytes(), headers, datetime.now(UTC), any_time=asked.any_time)
    if said != VERIFIED:
        print(f"{escaped(said)}.")
        return 1
    signed = signed_at(headers)
    print(f"{said}: {escaped(headers[ID])}, signed {signed.isoformat().replace('+00:00', 'Z') if signed else ''}")
    return 0


def _headers(file: Path) -> dict[str, str]:
    """Return the headers of *file*, with names in lower case. Lines without a colon are left out."""
    pairs = (line.partition(":") for line in file.read_bytes().decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    asked = parsed(arguments)
    with reporting("webhooks"):
        code: int = asked.run(asked)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
