"""The last stage: the outbox is drained into the search index, batch by batch (`batches`).

Does not change articles, but their versions. Whoever writes holds the index's lock: alone, or with other
writers where the engine is `concurrent`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from pipeline import search
from pipeline.errors import Busy, EngineTrouble, NotFound
from pipeline.model import Document, Tombstone
from pipeline.runtime import Runtime
from pipeline.search.patience import Patience
from pipeline.stages import batches
from pipeline.stages.batches import Batch
from pipeline.store import INDEX, articles, outbox
from pipeline.store import REBUILD as REBUILDING

BATCH = 500  # documents a commit of the index
HOLD_SECONDS = 5.0  # the longest that one writer keeps the others waiting
WAIT_SECONDS = 30.0
AT_ONCE = 0.01  # to look whether somebody has a lock
SOON_SECONDS = 30.0  # a document that the engine has put off for longer is left to a later run
REBUILD_SECONDS = 6 * 3600.0  # 1 million documents take about an hour of one core
ANSWER_SECONDS = 20.0  # somebody waits for an answer, and may have named the wrong server

MENDABLE = ("missing", "left over", "another version", "doubled")
DIFFERENCES = ("refused", "waiting", *MENDABLE)
# How far above the known versions a document is written again, try by try: whoever deleted it by hand left a
# deletion in the index whose version nobody can ask for, and older ones stay out.
ABOVE = (1, 1_000, 1_000_000)

Advance = Callable[[int], None]


log = logging.getLogger(__name__)


class Difference(NamedTuple):
    """A document that is not in the index as it is in the store."""

    kind: str  # one of DIFFERENCES
    id: str
    stored: int | None = None  # the versions, where they matter
    held: int | None = None


class Reconciled(NamedTuple):
    """How much of each kind was mended, and the ids that differ still, by kind."""

    mended: dict[str, int]
    left: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Figures:
    """How many documents the index holds and the store has, and what waits between them."""

    held: int
    stored: int
    waiting: int
    oldest: float  # seconds that the oldest of them has waited
    refused: int
    broken_off: bool  # a rebuild, whose generation is still written to

    @property
    def explained(self) -> bool:
        """Whether the two numbers differ by no more than what waits or was refused."""
        return abs(self.held - self.stored) <= self.waiting + self.refused


def drain(runtime: Runtime, run: str, *, patience: Patience | None = None) -> int:
    """Write all dirty documents, for everybody, until none waits; return how many.

    What another writer holds is waited for: it writes it, or it died and its lease ends. An engine that is in
    trouble is waited for too, as long as `patience` lasts; then its error is raised, and the documents wait
    for the next run. A document that the engine puts off again and again is left to a later run; where there
    was nothing else, that is EngineTrouble. Raises Busy if the index is not free within WAIT_SECONDS.
    """
    patience = patience or Patience()
    _abandon_broken_off(runtime)
    written, put_off = 0, ""
    while _anything_free(runtime):
        with _writing(runtime):
            done = _write_for_a_while(runtime)
        written += sum(batch.done for batch in done)
        for batch in done:  # only the last one may have to be waited for
            patience.heard(batch.verdicts, took_some=batch.took_some)
            put_off = next((refusal.reason for refusal in batch.verdicts.later), put_off)
    if left := _waiting(runtime) if put_off else 0:
        if not written:
            raise EngineTrouble(put_off, hint="veille index check")
        log.warning("left to a later run", extra={"run": run, "documents": left, "reason": put_off})
    if written:
        with suppress(EngineTrouble, NotFound):  # seen a little later; NotFound: a first rebuild is under way
            runtime.index.refresh()
        log.info("indexed", extra={"run": run, "documents": written})
    return written


def retry(runtime: Runtime, run: str) -> tuple[int, dict[str, str]]:
    """Offer again what the engine refused or put off; return how many those were, and why some are refused
    still, by id.

    It may be another engine by now, or a newer Veille.
    """
    with runtime.store.transaction("offer_again") as tx:
        offered = outbox.offer_again(tx)
    drain(runtime, run)
    with runtime.store.transaction("still_refused") as tx:
        return offered, outbox.refused(tx)


def reconcile(runtime: Runtime, run: str) -> Reconciled:
    """Make the index equal to the store where they differ.

    What is missing or old is written again at a higher version than the index has seen, what is left over is
    deleted, what stands twice is both. What waits is written, what was refused stays so.
    """
    patience = Patience(gives_up=ANSWER_SECONDS)
    before = found = patience.insist(lambda: _differing(runtime))
    for above in ABOVE:
        _mend(runtime, run, found, above)
        found = patience.insist(lambda: _differing(runtime))
        if not any(one.kind in MENDABLE for one in found):
            break
    left = {one.id for one in found}
    kinds = Counter(one.kind for one in before if one.kind in MENDABLE and one.id not in left)
    return Reconciled(dict(sorted(kinds.items())), _by_kind(found))


def _mend(runtime: Runtime, run: str, found: Collection[Difference], above: int) -> None:
    """Write again what differs, at versions that are so much above those that are known; delete the rest."""
    gone = [Tombstone(one.id, one.held) for one in found if one.kind in ("left over", "doubled") and one.held]
    again = {
        int(one.id): max(one.stored, one.held or 0) + above
        for one in found
        if one.kind in MENDABLE and one.stored
    }
    _delete(runtime, gone)
    with runtime.store.transaction("offer_missing") as tx:
        articles.raise_to(tx, again, now=runtime.now())
    drain(runtime, run)


def _delete(runtime: Runtime, gone: Sequence[Tombstone]) -> None:
    """Delete all of these, however often the engine puts a part of it off."""
    patience = Patience()
    while gone:
        with _writing(runtime):
            verdicts = runtime.index.delete(gone)
        patience.heard(verdicts, took_some=len(verdicts.undone) < len(gone))
        gone = [one for one in gone if one.id in verdicts.undone]


def rebuild(runtime: Runtime, *, advance: Advance = lambda _: None) -> int:
    """Make the index anew from the store, while others use it; return how many documents it has.

    `advance` hears how many documents each batch had, once it is written. Documents that the engine refused
    before are offered again. Raises Busy where another rebuild does not end within REBUILD_SECONDS.
    """
    with runtime.store.session_lock(REBUILDING, wait_seconds=REBUILD_SECONDS):
        return _rebuild(runtime, advance)


def set_up(runtime: Runtime) -> int:
    """Prepare the engine and make the index if there is none; return how many documents it has."""
    patience = Patience(gives_up=ANSWER_SECONDS)
    patience.insist(runtime.index.setup)
    ensure(runtime)
    return patience.insist(runtime.index.count)


def ensure(runtime: Runtime) -> None:
    """Make the index if there is none yet; of several processes that find none, one does."""
    if _exists(runtime):
        return
    with runtime.store.session_lock(REBUILDING, wait_seconds=REBUILD_SECONDS):
        if not _exists(runtime):
            _rebuild(runtime, advance=lambda _: None)


def _exists(runtime: Runtime) -> bool:
    try:
        Patience(gives_up=ANSWER_SECONDS).insist(runtime.index.count)
    except NotFound:
        return False
    return True


def _rebuild(runtime: Runtime, advance: Advance) -> int:
    total = 0

    def read() -> Iterator[list[Document]]:
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
        read(),
        alone=lambda: runtime.store.session_lock(INDEX, wait_seconds=WAIT_SECONDS),
        writing=lambda: _writing(runtime),
    )
    with runtime.store.transaction("offer") as tx:
        outbox.offer_again(tx)
        articles.touch(tx, [int(refusal.id) for refusal in refused], now=runtime.now())
    return total - len(refused)


def differences(runtime: Runtime) -> dict[str, list[str]]:
    """How the index differs from the store: ids that it refused, that wait to be written, that are missing,
    left over, of another version, or doubled.

    Compares every document. What others write meanwhile is none: whatever is found is looked at again.
    """
    return _by_kind(_differing(runtime))


def reasons(runtime: Runtime) -> dict[str, str]:
    """Why the engine refused documents or put them off, by id."""
    with runtime.store.transaction("reasons") as tx:
        said = outbox.waiting(tx) | outbox.refused(tx)
    return {id_: reason for id_, reason in sorted(said.items()) if reason}


def figures(runtime: Runtime) -> Figures:
    """The index and the store in figures that cost little, however large they are. Raises NotFound."""
    with runtime.store.transaction("figures") as tx:
        stored, dirty = articles.count(tx), outbox.size(tx)
    return Figures(
        held=runtime.index.count(),
        stored=stored,
        waiting=dirty.waiting,
        oldest=dirty.age(runtime.now()),
        refused=dirty.refused,
        broken_off=_broken_off(runtime),
    )


def _broken_off(runtime: Runtime) -> bool:
    """Whether a generation is being built by nobody."""
    if not runtime.index.rebuilding():
        return False
    with suppress(Busy), runtime.store.session_lock(REBUILDING, wait_seconds=AT_ONCE):
        return bool(runtime.index.rebuilding())
    return False


def _abandon_broken_off(runtime: Runtime) -> None:
    """End a rebuild whose process has died: everything would be written twice for ever."""
    with suppress(Busy, EngineTrouble):  # somebody builds it, or writes; the next writer looks again
        if not runtime.index.rebuilding():
            return
        with (
            runtime.store.session_lock(REBUILDING, wait_seconds=AT_ONCE),
            runtime.store.session_lock(INDEX, wait_seconds=WAIT_SECONDS),
        ):
            generation = runtime.index.rebuilding()
            runtime.index.abandon_rebuild(generation)
        log.warning("a rebuild that was broken off is ended", extra={"generation": generation})


def _differing(runtime: Runtime) -> set[Difference]:
    """What differs at two looks."""
    found = _compared(runtime)
    return found & _compared(runtime) if found else found


def _by_kind(found: Iterable[Difference]) -> dict[str, list[str]]:
    return {kind: sorted({one.id for one in found if one.kind == kind}) for kind in DIFFERENCES}


def _compared(runtime: Runtime) -> set[Difference]:
    held = runtime.index.versions()
    doubled = runtime.index.doubled() if runtime.index.count() > len(held) else set()
    found = set()
    with runtime.store.transaction("check") as tx:
        refused, waiting = outbox.refused(tx), outbox.waiting(tx)
        found |= {Difference("refused", id_) for id_ in refused}
        found |= {Difference("waiting", id_) for id_ in waiting}
        for id_, version in articles.versions(tx):
            here = held.pop(id_, None)
            if id_ in doubled:
                found.add(Difference("doubled", id_, version, here))
            elif here != version and id_ not in waiting and id_ not in refused:
                kind = "missing" if here is None else "another version"
                found.add(Difference(kind, id_, version, here))
    found |= {
        Difference("left over", id_, None, held[id_]) for id_ in held.keys() - waiting.keys() - refused.keys()
    }
    return found


def _waiting(runtime: Runtime) -> int:
    with runtime.store.transaction("left") as tx:
        return outbox.size(tx).waiting


def _anything_free(runtime: Runtime) -> bool:
    """Whether documents are free to be written, once those that others hold, or that are due soon, are free
    or done.
    """
    while True:
        with runtime.store.transaction("pending") as tx:
            left = outbox.pending(tx, now=runtime.now(), within=SOON_SECONDS)
        if left.free or not left.held:
            return left.free > 0
        left.rest()


def _writing(runtime: Runtime) -> AbstractContextManager[None]:
    """The lock of whoever writes documents."""
    return runtime.store.session_lock(INDEX, wait_seconds=WAIT_SECONDS, shared=runtime.index.concurrent)


def _write_for_a_while(runtime: Runtime) -> list[Batch]:
    """Write batches, under the index's lock, until none is left, others have waited long enough, or the
    engine puts documents off.
    """
    done: list[Batch] = []
    ends = time.monotonic() + HOLD_SECONDS
    while batch := batches.write(runtime, limit=BATCH):
        done.append(batch)
        if batch.verdicts.undone or time.monotonic() > ends:
            break
    return done
