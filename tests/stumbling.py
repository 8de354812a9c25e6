"""The whole line, where one entry brings up a bug: `python tests/stumbling.py`."""

import runpy
from pathlib import Path

from pipeline.stages import deduplicate

STUMBLING_BLOCK = "/stumble"  # ends the address of the entry

_work = deduplicate.work


def _stumbling(runtime, run, token, rows):
    if any(row.url.endswith(STUMBLING_BLOCK) for row in rows):
        raise ValueError("a bug")
    _work(runtime, run, token, rows)


if __name__ == "__main__":
    deduplicate.work = _stumbling
    runpy.run_path(str(Path(__file__).with_name("line.py")), run_name="__main__")
