"""Entries that bring up a bug, ours or a library's: set aside with it, so that the others go on.

Does not hide anything: the reason names the error and the line, the entry is tried again ever later, and
what gives up is counted as failed until `veille retry`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

from pipeline import schedule
from pipeline.errors import ConfigError, Transient, VeilleError, lines_of, place_of
from pipeline.model import Outcome, Stage
from pipeline.runtime import Runtime
from pipeline.store import entries
from pipeline.store.entries import EntryRow, Move

Work = Callable[[Runtime, str, int, Sequence[EntryRow]], None]

_OF_NO_ENTRY = (Transient, ConfigError)

log = logging.getLogger(__name__)


def work_around(runtime: Runtime, run: str, token: int, rows: Sequence[EntryRow], work: Work) -> None:
    """Do the work on these entries; where that brings up a bug, on each alone, to find whose it is."""
    if len(rows) == 1:
        with setting_aside(runtime, run, token, rows[0]):
            work(runtime, run, token, rows)
        return
    try:
        work(runtime, run, token, rows)
    except _OF_NO_ENTRY:
        raise
    except Exception:  # noqa: BLE001  it is told when it comes again
        for row in rows:
            work_around(runtime, run, token, [row], work)


@contextlib.contextmanager
def setting_aside(runtime: Runtime, run: str, token: int, row: EntryRow) -> Iterator[None]:
    """Whatever bug comes up in the block is this entry's: it is set aside, and the block is over."""
    try:
        yield
    except _OF_NO_ENTRY:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, one entry must not stop the press
        _set_aside(runtime, run, token, row, error)


def _set_aside(runtime: Runtime, run: str, token: int, row: EntryRow, error: Exception) -> None:
    reason = str(error) if isinstance(error, VeilleError) else place_of(error)
    attempts = row.attempts + 1
    due_at = schedule.next_attempt(attempts, now=runtime.now())
    log.error(
        "entry set aside",
        extra={
            "run": run,
            "host": row.host,
            "entry": row.id,
            "error": reason,
            "lines": lines_of(error),
        },
    )
    with runtime.store.transaction("set_aside") as tx:
        if not entries.held(tx, [row.id], token=token):
            return
        stage = Stage(row.stage) if due_at else Stage.DONE
        outcome = None if due_at or row.outcome else Outcome.FAILED
        move = Move(row.id, stage, due_at=due_at, reason=reason, attempts=attempts, outcome=outcome)
        entries.move(tx, [move])
