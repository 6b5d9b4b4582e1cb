"""Run a benchmark by name."""

import argparse

from tests.benchmarks import approvals, batch, conflicts, growth, load, locks, queues, trips, up

BENCHES = {
    "approvals": approvals.run,
    "batch": batch.run,
    "conflicts": conflicts.run,
    "growth": growth.run,
    "load": load.run,
    "locks": locks.run,
    "queues": queues.run,
    "trips": trips.run,
    "up": up.run,
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure, and print a table with ratios. Starts a stack of its own and leaves nothing behind.",
    )
    parser.add_argument("name", choices=sorted(BENCHES), help="what to measure")
    parser.add_argument("--smoke", action="store_true", help="make the shortest run, to check that the benchmark works")
    asked = parser.parse_args()
    BENCHES[asked.name](smoke=asked.smoke)


if __name__ == "__main__":
    main()
