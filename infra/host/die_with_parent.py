"""Becomes another program that ends when its parent does: ``python -I die_with_parent.py SIGNAL PARENT PROGRAM...``.

A program of its own, because the request to the kernel has to be made between fork and exec, where a process
with threads may run no Python. Where the kernel has no such thing, the program just runs.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def tie(signal: int, parent: int) -> bool:
    """Ask for *signal* at the death of the *parent* that forked this process; return whether it lives."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    # It may have died before the request was made; nobody would tell us any more.
    return os.getppid() == parent


def main(signal: int, parent: int, command: list[str]) -> None:
    """Ask for *signal* at the parent's death, then become *command*."""
    if tie(signal, parent):
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
