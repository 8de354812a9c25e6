"""How tests wait for what other processes do: they look until it is so, and say whether it was."""

import time


def eventually(condition, seconds: float = 20.0, *, every: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
