"""Run a benchmark by name."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import (
    approvals,
    batch,
    conflicts,
    console,
    growth,
    lab,
    load,
    locks,
    messages,
    progress,
    queues,
    serve,
    trips,
    up,
    webhooks,
)

BENCHES: dict[str, Callable[..., None]] = {
    "approvals": approvals.run,
    "batch": batch.run,
    "conflicts": conflicts.run,
    "console": console.run,
    "growth": growth.run,
    "lab": lab.run,
    "load": load.run,
    "locks": locks.run,
    "messages": messages.run,
    "progress": progress.run,
    "queues": queues.run,
    "serve": serve.run,
    "trips": trips.run,
    "up": up.run,
    "webhooks": webhooks.run,
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure, and print a table with ratios. Starts a stack of its own and leaves nothing behind.",
    )
    parser.add_argument("name", choices=sorted(BENCHES), help="what to measure")
    parser.add_argument("--smoke", action="store_true", help="make the shortest run, to check that the benchmark works")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="serve: a checkout that takes turns")
    parser.add_argument("--lab", action="store_true", help="trips: on a stack whose clock can jump")
    asked = parser.parse_args()
    if asked.lab:
        if asked.name != "trips" or asked.beside:
            parser.error("--lab is an option of trips")
        trips.run(smoke=asked.smoke, lab=True)
    elif asked.beside is None:
        BENCHES[asked.name](smoke=asked.smoke)
    elif asked.name == "serve":
        serve.run(smoke=asked.smoke, beside=asked.beside)
    else:
        parser.error("--beside is an option of serve")


if __name__ == "__main__":
    main()
