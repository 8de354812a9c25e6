"""Leases: a claim on rows for a while, renewed while their owner lives.

Does not protect anything by itself: the transaction that writes checks the token (fencing), so an owner
that was paused beyond its lease writes nothing once another has taken its rows.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipeline.errors import VeilleError
from pipeline.store import Store, Transaction
from pipeline.store.sql import load

SQL = load("leases")
LOOK_SECONDS = 0.25  # between two looks at rows that others hold

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """What is due: rows that are free, rows that somebody holds, and when the first lease ends (seconds)."""

    free: int
    held: int
    seconds: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As a statement `pending` counts it; where nothing is held, no lease ends."""
        return cls(row["free"], row["held"], max(0.0, row["seconds"] or 0.0))

    def rest(self) -> None:
        """Wait before the next look at what is held: shorter where a lease ends sooner."""
        time.sleep(min(LOOK_SECONDS, self.seconds or LOOK_SECONDS))


def new_token(tx: Transaction) -> int:
    """A number never given before."""
    row = tx.execute(SQL["new_token"]).fetchone()
    assert row
    return int(row["token"])


class Keeper:
    """Renews the leases that this process holds, every quarter of their length, from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tokens: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def keep(self, token: int) -> Iterator[None]:
        """Renew the rows under `token` for as long as the block runs; then give back what is left of them."""
        with self._lock:
            self._tokens.add(token)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._tokens.discard(token)
            with contextlib.suppress(VeilleError), self._store.transaction("release") as tx:
                tx.execute(SQL["release"], {"token": token})

    def close(self) -> None:
        """Stop renewing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _renew_all(self) -> None:
        seconds = self._store.lease_seconds
        while not self._stop.wait(seconds / 4):
            with self._lock:
                tokens = list(self._tokens)
            if not tokens:
                continue
            try:
                with self._store.transaction("renew") as tx:
                    tx.execute(SQL["renew"], {"tokens": tokens, "seconds": seconds})
            except Exception as error:  # noqa: BLE001  whatever it was, the next quarter tries again
                log.warning("leases not renewed: %s", error)
