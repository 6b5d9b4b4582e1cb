"""How often each fault is provoked: a tenth of the full count, unless ``FAULTS_SCALE`` says otherwise."""

import os

OPTION = "FAULTS_SCALE"
_EVERY_RUN = 0.1


def times(full: int) -> int:
    """Return how often to do what a full run does *full* times; at least once."""
    return max(1, round(full * float(os.environ.get(OPTION, _EVERY_RUN))))
