"""The whole line as a process of its own, to be killed: `python tests/line.py`, set up by the environment."""

import sys
import uuid

from pipeline import steps
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.store.runs import Run

STAGES = ("discover", "fetch", "extract", "deduplicate", "tag", "index")


def run_line(runtime, stages=STAGES):
    """Run these stages once, as a new run."""
    run = f"line/{uuid.uuid4().hex}"
    steps.start(runtime, Run(run, "command", polls=True, reason="a test"))
    for stage in stages:
        getattr(steps, stage)(runtime, run)
    return run


if __name__ == "__main__":
    with Runtime(from_environment(), workers=1) as opened:
        # The index comes first, empty: made in the end it would be whole, whatever the outbox had forgotten.
        steps.report(opened, run_line(opened, sys.argv[1:] or ("index", *STAGES)))
