"""Each benchmark runs and prints its table; the figures of so short a run mean nothing."""

import os
import subprocess

import pytest

from infra.environment import ROOT
from tests.benchmarks.__main__ import BENCHES

pytestmark = pytest.mark.stack

#: The shortest run of these benchmarks takes most of a minute.
LONG = frozenset({"approvals", "lab", "up"})


@pytest.mark.parametrize("name", sorted(BENCHES.keys() - LONG))
def test_a_benchmark_runs(name: str) -> None:
    command = [str(ROOT / "scripts/bench"), name, "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "needs Chromium" in done.stderr and "CI" not in os.environ:
        pytest.skip("needs Chromium: apt-get install chromium")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ratio" in done.stdout or "held to" in done.stdout
