"""A batch of the outbox: claimed, read, written, and struck.

Does not wait, nor lock the index: `index` does. Documents are read at their current version after they were
claimed, and struck from the outbox only after the engine's own answer for each, only if that version is still
the current one, and only under the lease: what was saved meanwhile stays, and so does what the engine put
off, which waits longer each time and stands in nobody's way.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline import failpoints
from pipeline.model import Document, Tombstone
from pipeline.runtime import Runtime
from pipeline.search import Index, Verdicts
from pipeline.store import articles, leases, outbox

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """How many documents of a batch are done, refused ones aside, and what the engine said of the others."""

    done: int
    verdicts: Verdicts

    @property
    def took_some(self) -> bool:
        """Whether the engine took anything, or looked at it and refused it."""
        return bool(self.done or self.verdicts.refused)


def write(runtime: Runtime, *, limit: int) -> Batch | None:
    """Write one batch of up to `limit`, under the index's lock; None if nothing is free."""
    store = runtime.store
    with store.transaction("claim_documents") as tx:
        token = leases.new_token(tx)
        ids = outbox.claim(tx, token=token, lease=store.lease_seconds, now=runtime.now(), limit=limit)
    if not ids:
        return None
    with runtime.keeper.keep(token):
        with store.transaction("read_documents") as tx:
            living, dead = articles.documents(tx, ids, runtime.catalogue)
        verdicts = _sent(runtime.index, living, dead)
        failpoints.reach("after_index_write")
        _acknowledge(runtime, token, (*living, *dead), verdicts)
    return Batch(len(ids) - len(verdicts.undone) - len(verdicts.refused), verdicts)


def _sent(index: Index, living: Sequence[Document], dead: Sequence[Tombstone]) -> Verdicts:
    """What the engine says of both; after a request that failed, no other follows."""
    put = index.put(living)
    if put.trouble:
        return replace(put, untold=(*put.untold, *(tombstone.id for tombstone in dead)))
    deleted = index.delete(dead)
    return Verdicts(
        (*put.refused, *deleted.refused),
        (*put.later, *deleted.later),
        (*put.untold, *deleted.untold),
        deleted.trouble,
    )


def _acknowledge(
    runtime: Runtime, token: int, sent: Iterable[Document | Tombstone], verdicts: Verdicts
) -> None:
    """Strike what was written at its version, and keep what was not, as the engine's words ask."""
    versions = {int(one.id): one.version for one in sent}
    refused, later = (
        {int(refusal.id): (versions[int(refusal.id)], refusal.reason) for refusal in refusals}
        for refusals in (verdicts.refused, verdicts.later)
    )
    untold = {id_: versions[id_] for id_ in map(int, verdicts.untold)}
    done = {id_: versions[id_] for id_ in versions.keys() - refused.keys() - later.keys() - untold.keys()}
    for refusal in verdicts.refused:
        log.warning("refused by the search engine", extra={"document": refusal.id, "reason": refusal.reason})
    with runtime.store.transaction("acknowledge") as tx:
        outbox.quarantine(tx, token, refused)
        outbox.put_off(tx, token, later, now=runtime.now())
        outbox.pass_over(tx, token, untold, now=runtime.now())
        outbox.acknowledge(tx, token, done)
