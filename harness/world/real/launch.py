"""Turn into another program that the kernel kills when the harness dies. A script for `python -I -S`.

The death signal must be asked for inside the child, between fork and exec, where Python code of a program
with threads is not safe to run; a launcher that asks and then turns into the program has no such problem. The
signal is SIGKILL, so a frozen program dies as well.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent` (a pid) dies; at once if it is dead already."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - turning into that program is what this is for
