"""The running parts of Veille: the only place where engines are chosen.

Everything is opened when it is first needed and closed in the end; nothing here decides what is done.
"""

import contextlib
import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from pipeline import catalogue
from pipeline.catalogue import Catalogue
from pipeline.errors import ConfigError, NotFound
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.archive import Archive
    from pipeline.search import Index
    from pipeline.store import Store
    from pipeline.store.embedded import Embedded
    from pipeline.store.leases import Keeper
    from pipeline.topics.rules import Rule
    from pipeline.topics.tagger import Tagger
    from pipeline.web.fetch import Fetcher
    from pipeline.workers import Workers

DATABASE = "veille"


class Runtime:
    """Use as a context manager. Open the parts that threads will share before starting the threads."""

    def __init__(self, settings: Settings, *, workers: int | None = None) -> None:
        """`workers`: how many CPU workers at most; one a core by default."""
        self.settings = settings
        self._workers = workers or len(os.sched_getaffinity(0))
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def now(self) -> datetime:
        """The time by which things are due; a demonstration may shift it."""
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_offset)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The publishers and their feeds."""
        return catalogue.load(self.settings.config / "sources.yaml")

    @cached_property
    def embedded(self) -> "Embedded":
        """The embedded PostgreSQL, up for as long as this process uses it."""
        from pipeline.store.embedded import Embedded

        return self._open.enter_context(Embedded(self.settings.home / "postgres"))

    @property
    def embedded_root(self) -> "Path | None":
        """Where the embedded database lies; None if a server is named or there is none yet. Makes none."""
        from pipeline.store.embedded import Embedded

        embedded = Embedded(self.settings.home / "postgres")
        return embedded.place.root if not self.settings.database_url and embedded.is_made else None

    @cached_property
    def database_url(self) -> str:
        """Where the store lives: the server that is named, else the embedded one."""
        if self.settings.database_url:
            return self.settings.database_url
        self.embedded.create_database(DATABASE)
        return self.embedded.url(DATABASE)

    @cached_property
    def store(self) -> "Store":
        """The open store, with the schema that this version needs.

        An embedded schema, or an empty server, is brought up to date; an older schema on a server belongs to
        whoever runs it: that raises ConfigError.
        """
        from pipeline.store.migrations import HEAD

        store = self._connected
        version = store.schema_version()
        if self.settings.database_url and version not in ("", HEAD):
            raise ConfigError(
                f"the database has schema {version}, this Veille needs {HEAD}",
                hint="stop all other Veille processes, then run: veille doctor --migrate",
            )
        store.migrate()
        return store

    def has_library(self) -> bool:
        """Whether there is a library where the settings say, of this version or another. Makes none.

        Raises Transient where the database cannot be asked, ConfigError where a newer Veille made it.
        """
        return bool((self.settings.database_url or self.embedded_root) and self._connected.schema_version())

    def require_library(self) -> None:
        """Raise NotFound where there is none, for commands that find nothing in an empty one either."""
        if self.has_library():
            return
        if self.settings.database_url:
            raise NotFound(
                "there is no library in the database that VEILLE_DATABASE_URL names",
                hint="name the database that has one, or make one there: veille ingest",
            )
        raise NotFound(
            f"there is no library in {self.settings.home}",
            hint="set VEILLE_HOME to the folder that has one, or make one here: veille ingest",
        )

    def migrate(self) -> None:
        """Bring the schema up to date, whoever it belongs to."""
        self._connected.migrate()

    @cached_property
    def _connected(self) -> "Store":
        from pipeline.store import Store

        store = Store(self.database_url, clock=self.now, lease_seconds=self.settings.lease_seconds)
        self._open.callback(store.close)
        return store

    @cached_property
    def keeper(self) -> "Keeper":
        """Renews this process's leases."""
        from pipeline.store.leases import Keeper

        keeper = Keeper(self.store)
        self._open.callback(keeper.close)
        return keeper

    @cached_property
    def archive(self) -> "Archive":
        """The WARC archive."""
        from pipeline.archive import Archive

        archive = Archive(self.settings.archive)
        self._open.callback(archive.close)
        return archive

    @cached_property
    def fetcher(self) -> "Fetcher":
        """All outgoing HTTP."""
        from pipeline.web.fetch import Fetcher

        settings = self.settings
        return self._open.enter_context(
            Fetcher(allow_hosts=settings.allow_hosts, user_agent=settings.user_agent)
        )

    @cached_property
    def workers(self) -> "Workers":
        """The killable CPU workers."""
        from pipeline.workers import Workers

        return self._open.enter_context(Workers(self._workers))

    @cached_property
    def rules(self) -> "tuple[Rule, ...]":
        """The topics' rules."""
        from pipeline.topics import rulebook

        return rulebook.load(self.settings.config / "topics")

    @cached_property
    def tagger(self) -> "Tagger":
        """The rules, compiled."""
        from pipeline.topics.tagger import Tagger

        return Tagger(self.rules)

    @cached_property
    def index(self) -> "Index":
        """The search index: on the server that is named, else the embedded one in the home."""
        settings = self.settings
        index: Index
        if settings.index_url == "tantivy:":
            from pipeline.search.tantivy import TantivyIndex

            index = TantivyIndex(settings.home / "index")
        else:
            from pipeline.search.elasticsearch.connection import Connection
            from pipeline.search.elasticsearch.index import ElasticsearchIndex

            who = (settings.index_user, settings.index_password, settings.index_ca)
            index = ElasticsearchIndex(Connection(settings.index_url, *who), settings.index_name)
        self._open.callback(index.close)
        return index
