"""`python -m pipeline.offspring PARENT PROGRAM …`: run a Python program that does not outlive its parent.

Does not restart or watch anything else. The parent may die of SIGKILL, which no handler of its own survives;
so the child looks for itself. It is told the parent's pid: that one may be gone before the child first looks.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

LOOK_EVERY = 0.5  # seconds
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int) -> None:
    """End this process, hard, once its parent is no longer the one with this pid.

    Linux sends SIGKILL at that moment, also into C code that does not let Python's threads run. Elsewhere, or
    where the parent was gone already, a thread looks.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
