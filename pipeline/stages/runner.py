"""The stage runner: claim due entries, work on them, until nothing is due.

Serves the stages that take any entry that is due in them; FETCH works host by host, index by document.
Decides nothing about entries.
"""

import contextlib

from pipeline.errors import Conflict
from pipeline.model import Stage
from pipeline.runtime import Runtime
from pipeline.stages.defects import Work, work_around
from pipeline.store import entries, leases


def drain(runtime: Runtime, run: str, stage: Stage, work: Work, batch: int) -> None:
    """Do the stage's work until nothing is due in it.

    Rows that another worker holds are waited for: it finishes them, or they are taken over when its lease
    ends.
    """
    store = runtime.store
    while True:
        with store.transaction("claim_entries") as tx:
            token = leases.new_token(tx)
            rows = entries.claim(
                tx, stage, token=token, lease=store.lease_seconds, now=runtime.now(), limit=batch
            )
        if rows:
            # What is undone after a conflict is free to be claimed again.
            with contextlib.suppress(Conflict), runtime.keeper.keep(token):
                work_around(runtime, run, token, rows, work)
            continue
        with store.transaction("pending") as tx:
            left = entries.pending(tx, [stage], now=runtime.now())
        if not left.held and not left.free:
            return
        left.rest()
