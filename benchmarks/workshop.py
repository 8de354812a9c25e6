"""Where measurements run: a scratch folder and an embedded PostgreSQL with a database for each library.

Does not measure. What lies there is gone afterwards, also what an earlier run that was killed has left.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from benchmarks.pages import hosts
from pipeline.runtime import Runtime
from pipeline.settings import Settings, from_environment
from pipeline.store.embedded import Embedded


@dataclass(frozen=True, slots=True)
class Workshop:
    """The scratch folder and the server."""

    folder: Path
    embedded: Embedded

    @property
    def postmaster(self) -> int:
        """The pid of PostgreSQL's first process."""
        return int((self.embedded.place.data / "postmaster.pid").read_text().splitlines()[0])

    def library(self, name: str, index: str = "") -> "Library":
        """An empty library of this name, and of an index of that name on a server."""
        self.embedded.create_database(name)
        return Library(self.folder / name, self.embedded.url(name), self.postmaster, index)

    def stop_autovacuum(self) -> None:
        """From now on tables are vacuumed on demand alone: else one library would pay for another's rows."""
        with psycopg.connect(self.embedded.url("postgres"), autocommit=True) as connection:
            connection.execute("alter system set autovacuum = off")
            connection.execute("select pg_reload_conf()")


@dataclass(frozen=True, slots=True)
class Library:
    """A home with a database: where it is, and whose CPU seconds its store takes. Fits into arguments."""

    home: Path
    database_url: str
    postmaster: int
    index: str = ""  # its name on the server that VEILLE_INDEX_URL names; without one it lies in the home

    def runtime(self, config: Path, port: int = 80, workers: int = 1) -> Runtime:
        """The library's parts. Hosts of ours are asked without a gap, at `port`."""
        settings = Settings(
            home=self.home,
            config=config,
            archive=self.home / "archive",
            database_url=self.database_url,
            allow_hosts=frozenset((name, port) for name in hosts()),
            host_gap_seconds=0.0,
        )
        if self.index:
            server = from_environment()
            settings = replace(
                settings,
                index_url=server.index_url,
                index_user=server.index_user,
                index_password=server.index_password,
                index_ca=server.index_ca,
                index_name=self.index,
            )
        return Runtime(settings, workers=workers)

    def arguments(self) -> list[object]:
        """What another process makes the same of."""
        return [self.home, self.database_url, self.postmaster, *filter(None, [self.index])]


def given(arguments: list[str]) -> Library:
    """The library that `Library.arguments` named."""
    home, database_url, postmaster, *index = arguments
    return Library(Path(home), database_url, int(postmaster), *index)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Workshop]:
    """A workshop in `folder`, until the block ends."""
    _clear(folder)
    folder.mkdir(parents=True)
    try:
        with Embedded(folder / "postgres") as embedded:
            yield Workshop(folder, embedded)
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    if (folder / "postgres" / "place.json").exists():  # under root its data lie elsewhere
        Embedded(folder / "postgres").remove()
    shutil.rmtree(folder, ignore_errors=True)
