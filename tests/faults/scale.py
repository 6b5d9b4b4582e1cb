"""The number of times that each fault is provoked: a tenth of the full count, or by ``FAULTS_SCALE``."""

import os

OPTION = "FAULTS_SCALE"
_EVERY_RUN = 0.1


def times(full: int) -> int:
    """Return the scaled count of a fault that a full run provokes *full* times; at least 1."""
    return max(1, round(full * float(os.environ.get(OPTION, _EVERY_RUN))))
