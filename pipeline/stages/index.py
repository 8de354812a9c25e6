"""The last stage: the outbox is drained into the search index.

Does not change articles. Documents are read at their current version after they were claimed, written,
and struck from the outbox only if that version is still the current one: what was saved meanwhile stays.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline import failpoints, search
from pipeline.errors import NotFound
from pipeline.model import Document
from pipeline.runtime import Runtime
from pipeline.search import Refusal
from pipeline.store import INDEX, REBUILD, articles, leases, outbox

BATCH = 500  # documents a commit of the index
HOLD_SECONDS = 5.0  # the longest that one writer keeps the others waiting
WAIT_SECONDS = 30.0
REBUILD_SECONDS = 6 * 3600.0  # 1 million documents take about an hour of one core

DIFFERENCES = ("refused", "waiting", "missing", "left over", "another version")

Advance = Callable[[int], None]

log = logging.getLogger(__name__)


class Difference(NamedTuple):
    """A document that is not in the index as it is in the store."""

    kind: str  # one of DIFFERENCES
    id: str
    stored: int | None = None  # the versions, where they matter
    held: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How many documents the index holds and the store has, and what waits between them."""

    held: int
    stored: int
    waiting: int
    oldest: float  # seconds that the oldest of them has waited
    refused: int

    @property
    def explained(self) -> bool:
        """Whether the two numbers differ by no more than what waits or was refused."""
        return abs(self.held - self.stored) <= self.waiting + self.refused


def drain(runtime: Runtime, run: str) -> int:
    """Write all dirty documents, for everybody, until none waits; return how many.

    What another writer holds is waited for: it writes it, or it died and its lease ends.
    Raises Busy if the index is not free within WAIT_SECONDS.
    """
    written = 0
    while _anything_free(runtime):
        with runtime.store.session_lock(INDEX, wait_seconds=WAIT_SECONDS):
            written += _write_for_a_while(runtime)
    if written:
        log.info("indexed", extra={"run": run, "documents": written})
    return written


def rebuild(runtime: Runtime, *, advance: Advance = lambda _: None) -> int:
    """Make the index anew from the store, while others use it; return how many documents it has.

    `advance` hears how many documents each batch had, once it is written. Documents that the engine refused
    before are offered again. Raises Busy where another rebuild does not end within REBUILD_SECONDS.
    """
    with runtime.store.session_lock(REBUILD, wait_seconds=REBUILD_SECONDS):
        return _rebuild(runtime, advance)


def ensure(runtime: Runtime) -> None:
    """Make the index if there is none yet; of several processes that find none, one does."""
    if _exists(runtime):
        return
    with runtime.store.session_lock(REBUILD, wait_seconds=REBUILD_SECONDS):
        if not _exists(runtime):
            _rebuild(runtime, advance=lambda _: None)


def _exists(runtime: Runtime) -> bool:
    try:
        runtime.index.count()
    except NotFound:
        return False
    return True


def _rebuild(runtime: Runtime, advance: Advance) -> int:
    total = 0

    def batches() -> Iterator[list[Document]]:
        nonlocal total
        after = 0
        while True:
            with runtime.store.transaction("rebuild") as tx:
                ids = articles.all_ids(tx, after=after, limit=BATCH)
                documents, _ = articles.documents(tx, ids, runtime.catalogue)
            if not ids:
                return
            after = ids[-1]
            total += len(documents)
            yield documents
            advance(len(documents))  # the next batch is asked for when this one is written

    refused = search.rebuild(
        runtime.index,
        batches(),
        lock=lambda: runtime.store.session_lock(INDEX, wait_seconds=WAIT_SECONDS),
    )
    with runtime.store.transaction("offer") as tx:
        outbox.offer_again(tx)
        articles.touch(tx, [int(refusal.id) for refusal in refused], now=runtime.now())
    return total - len(refused)


def differences(runtime: Runtime) -> dict[str, list[str]]:
    """How the index differs from the store: ids that it refused, that wait to be written, that are missing,
    left over, or of another version.

    Compares every document. What others write meanwhile is none: whatever is found is looked at again.
    """
    found = _compared(runtime)
    if found:
        found &= _compared(runtime)
    return {
        kind: sorted(difference.id for difference in found if difference.kind == kind) for kind in DIFFERENCES
    }


def figures(runtime: Runtime) -> Figures:
    """The index and the store in figures that cost little, however large they are. Raises NotFound."""
    with runtime.store.transaction("figures") as tx:
        stored, dirty = articles.count(tx), outbox.size(tx)
    return Figures(runtime.index.count(), stored, dirty.waiting, dirty.age(runtime.now()), dirty.refused)


def _compared(runtime: Runtime) -> set[Difference]:
    held = runtime.index.versions()
    found = set()
    with runtime.store.transaction("check") as tx:
        refused, waiting = outbox.refused(tx), outbox.waiting(tx)
        found |= {Difference("refused", id_) for id_ in refused}
        found |= {Difference("waiting", id_) for id_ in waiting}
        for id_, version in articles.versions(tx):
            here = held.pop(id_, None)
            if here != version and id_ not in waiting and id_ not in refused:
                kind = "missing" if here is None else "another version"
                found.add(Difference(kind, id_, version, here))
    found |= {Difference("left over", id_, None, held[id_]) for id_ in held.keys() - waiting - refused.keys()}
    return found


def _anything_free(runtime: Runtime) -> bool:
    """Whether documents are free to be written, once those that others hold are free or done."""
    while True:
        with runtime.store.transaction("pending") as tx:
            left = outbox.pending(tx, now=runtime.now())
        if left.free or not left.held:
            return left.free > 0
        left.rest()


def _write_for_a_while(runtime: Runtime) -> int:
    """Write batches, under the index's lock, until none is left or others have waited long enough."""
    written, ends = 0, time.monotonic() + HOLD_SECONDS
    while size := _write_batch(runtime):
        written += size
        if time.monotonic() > ends:
            break
    return written


def _write_batch(runtime: Runtime) -> int:
    """Write one batch, under the index's lock; return its size."""
    store = runtime.store
    with store.transaction("claim_documents") as tx:
        token = leases.new_token(tx)
        ids = outbox.claim(tx, token=token, lease=store.lease_seconds, now=runtime.now(), limit=BATCH)
    if not ids:
        return 0
    with runtime.keeper.keep(token):
        with store.transaction("read_documents") as tx:
            living, dead = articles.documents(tx, ids, runtime.catalogue)
        refused = runtime.index.put(living)
        runtime.index.delete([str(id_) for id_, _ in dead])
        failpoints.reach("after_index_write")
        _acknowledge(
            runtime, dict(dead) | {int(document.id): document.version for document in living}, refused
        )
    return len(ids)


def _acknowledge(runtime: Runtime, versions: dict[int, int], refused: Sequence[Refusal]) -> None:
    """Strike what was written at these versions, and keep what the engine refused."""
    reasons = {int(refusal.id): refusal.reason for refusal in refused}
    with runtime.store.transaction("acknowledge") as tx:
        outbox.quarantine(tx, {id_: (versions[id_], reason) for id_, reason in reasons.items()})
        outbox.acknowledge(tx, {id_: versions[id_] for id_ in versions.keys() - reasons.keys()})
