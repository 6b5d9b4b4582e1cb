"""Executes a program that ends with its parent process: ``python -I die_with_parent.py SIGNAL PARENT PROGRAM...``.

The signal must be requested between fork and exec, where a process with threads may run no Python. Therefore this
module is a program of its own. On a system without parent-death signals, PROGRAM runs without the signal.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def set_parent_death_signal(signal: int, parent: int) -> bool:
    """Have the kernel send *signal* to this process when *parent* dies. *parent* must have forked this process.

    Return whether *parent* was alive after the request. If false, no signal will come. Linux only; elsewhere nothing
    is requested.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    # A parent that died before the request was made sends no signal any more.
    return os.getppid() == parent


def main(signal: int, parent: int, command: list[str]) -> None:
    """Request *signal* at the death of *parent*, then execute *command*. If *parent* has died, return instead."""
    if set_parent_death_signal(signal, parent):
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
