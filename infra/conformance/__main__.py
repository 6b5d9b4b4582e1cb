"""``scripts/conformance``: the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.conformance import command

DESCRIPTION = """\
Runs the integration tests against another implementation of AWS than the emulator of scripts/up: what passes on both is
less likely to be a habit of one of them. Known differences, each with its cause, are in docs/local.md; the tests
concerned are left out, or have to fail. Any other failure fails the run.
"""
EPILOG = """\
endpoints:
  localstack    LocalStack 4.14.0, on the Python of the functions. Functions run as processes of this machine, and
                DynamoDB is forwarded to the emulator of scripts/up. The first run installs LocalStack (700 MB).

examples:
  scripts/conformance localstack                                    all integration tests
  scripts/conformance localstack tests/integration/test_queues.py   one file
  scripts/conformance localstack -x -k waiting                      pytest's own options stand last

exit codes: pytest's own; 77 if this machine lacks the Python of the functions, with the reason.
All processes listen on 127.0.0.1, keep their data in a temporary folder, and end with this command.
"""
ENDPOINTS = ("localstack",)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/conformance",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("endpoint", choices=ENDPOINTS, help="the implementation to run against")
    parser.add_argument(
        "tests",
        nargs=argparse.REMAINDER,
        metavar="ARGUMENT",
        help="files, folders and options for pytest (default: tests/integration)",
    )
    parser.add_argument(
        "--environment",
        type=lambda text: Path(text).resolve(),
        metavar="DIR",
        help="where LocalStack's packages are installed (.venv/localstack)",
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command."""
    asked = parsed(sys.argv[1:])
    return command.run(asked.environment, asked.tests)


if __name__ == "__main__":
    sys.exit(main())
