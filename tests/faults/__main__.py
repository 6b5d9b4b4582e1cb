"""Run tests/conformance and tests/faults with the full counts of faults, and print the figures."""

import argparse
import os
import sys

import pytest

from infra.environment import ROOT
from tests.faults.scale import OPTION


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Kill processes and stores under load, and check that every guarantee holds. "
        "Starts a stack of its own and leaves nothing behind.",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the full counts; scripts/test runs 0.1 (default: 1)"
    )
    asked = parser.parse_args()
    os.environ[OPTION] = str(asked.scale)
    os.chdir(ROOT)
    sys.exit(pytest.main(["tests/conformance", "tests/faults", "-q"]))


if __name__ == "__main__":
    main()
