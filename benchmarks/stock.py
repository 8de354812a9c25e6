"""A library of invented articles, written straight into the tables by COPY and into the index.

`python -m benchmarks.stock COUNT CONFIG LIBRARY…` fills the index and says after each commit how many
documents it had; `fill` has that done while it fills the store itself. The rows are those that a page
from a feed leaves when it has passed all stages. Their indexes grow with them, as they would in years;
constraints are not checked. Nothing else may be in the library.
"""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from benchmarks import children, prose, workshop
from benchmarks.prose import Written
from benchmarks.workshop import Library
from pipeline import fingerprints
from pipeline.cli.console import progress
from pipeline.model import Document

COPIED = 2_000  # articles that go into one table before it is the next one's turn
COMMITTED = 10_000  # documents a commit of the index
SEEN = prose.NEWEST + timedelta(hours=1)
RUN = "stock"
PAGE = 30_000  # bytes that a page would take in the archive


class Stored(NamedTuple):
    """An article with what is stored of it."""

    id: int
    it: Written
    digest: str
    shingles: frozenset[int]


class Table(NamedTuple):
    """A table, its columns with their types, and the rows that an article has in it."""

    name: str
    columns: str
    rows: Callable[[Stored], Iterable[tuple[Any, ...]]]


TABLES = (
    Table(
        "entry",
        "id int8, canonical_url text, url text, host text, publisher text, run_id text, "
        "discovered_at timestamptz, stage text, due_at timestamptz, priority int2, outcome text, "
        "page_fate text, page_id int8, article_id int8, revision int4",
        lambda a: [
            (
                *(a.id, a.it.url, a.it.url, a.it.host, a.it.publisher, RUN),
                *(SEEN, "done", SEEN + (prose.NEWEST - a.it.published), 2, "new", "full", a.id, a.id, 1),
            )
        ],
    ),
    Table(
        "sighting",
        "entry_id int8, feed_id int8, guid text, title text, summary text, published timestamptz, "
        "first_at timestamptz, last_at timestamptz",
        lambda a: [
            (a.id, _feed(a.it), a.it.url, a.it.title, a.it.lead, a.it.published, SEEN, SEEN),
        ],
    ),
    Table(
        "page",
        "id int8, entry_id int8, run_id text, fetched_at timestamptz, url text, status int4, fate text, "
        "content_type text, archive_file text, archive_offset int8, archive_length int4, outcome text",
        lambda a: [
            (
                *(a.id, a.id, RUN, SEEN, a.it.url, 200, "full", "text/html"),
                *("pages.warc.gz", a.id * PAGE, PAGE, "new"),
            )
        ],
    ),
    Table(
        "revision",
        "entry_id int8, number int4, page_id int8, read_at timestamptz, digest text, url text, title text, "
        "lead text, text text, authors text[], section text, published timestamptz, date_source text, "
        "date_suspect bool, language text, language_confidence float4, image text, completeness text, "
        "completeness_reason text, engine text",
        lambda a: [
            (
                *(a.id, 1, a.id, SEEN, a.digest, a.it.url, a.it.title, a.it.lead, a.it.text, [], ""),
                *(a.it.published, "import", False, "fr", 1.0, "", "full", "", "import"),
            )
        ],
    ),
    Table(
        "article",
        "id int8, publisher text, first_seen timestamptz, entry_id int8, indexed bool, "
        "published timestamptz, url text",
        lambda a: [(a.id, a.it.publisher, SEEN, a.id, True, a.it.published, a.it.url)],
    ),
    Table(
        "article_key",
        "kind text, value text, article_id int8",
        lambda a: [
            ("url", a.it.url, a.id),
            ("text", f"{a.it.publisher}:{a.it.published.isoformat()}:{a.digest}", a.id),
        ],
    ),
    Table(
        "fingerprint",
        "article_id int8, published timestamptz, title text, shingles bytea",
        lambda a: [(a.id, a.it.published, a.it.title, fingerprints.packed(a.shingles))],
    ),
    Table(
        "band",
        "number int2, hash int8, article_id int8",
        lambda a: [(number, hash_, a.id) for number, hash_ in enumerate(fingerprints.bands(a.shingles))],
    ),
    Table(
        "tag",
        "article_id int8, topic text, version int4, score float4, confidence float4, hits jsonb",
        lambda a: [(a.id, topic, 1, 5.0, 0.5, Jsonb([])) for topic in a.it.topics],
    ),
)


def fill(scratch: Path, library: Library, config: Path, count: int) -> None:
    """Put so many articles, with the ids from 1 on, into the empty library."""
    with library.runtime(config) as runtime:
        runtime.migrate()
    arguments = [count, config, *library.arguments()]
    with children.started(scratch, "-m", "benchmarks.stock", *arguments) as child:
        with progress(f"storing {count:,} articles", count) as advance:
            _fill_store(library.database_url, count, advance)
        with progress(f"indexing {count:,} articles", count) as advance:
            while done := child.ask():
                advance(done)


def _fill_store(url: str, count: int, advance: Callable[[int], None]) -> None:
    """One transaction that also empties the tables: so PostgreSQL writes them without its log."""
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")  # constraints between tables
        connection.execute(
            f"truncate run, host, feed, {', '.join(table.name for table in TABLES)} cascade".encode()
        )
        connection.execute(
            "insert into run (id, kind, started_at, polls, reason) values (%s, 'import', %s, false, '')",
            [RUN, SEEN],
        )
        _add_feeds(connection)
        articles = prose.articles(0, count)
        while batch := [_stored(written) for written in islice(articles, COPIED)]:
            for table in TABLES:
                _copy(connection, table, batch)
            advance(len(batch))
        for name in ("entry", "article", "page"):
            connection.execute("select setval(pg_get_serial_sequence(%s, 'id'), %s)", [name, count])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")  # as the server would have done by itself in time
        connection.execute("checkpoint")


def _add_feeds(connection: psycopg.Connection[Any]) -> None:
    """A host and a feed of each publisher; their numbers are those of the publishers."""
    for written in prose.articles(0, prose.PUBLISHERS):
        values = {"host": written.host, "publisher": written.publisher, "id": _feed(written)}
        connection.execute("insert into host (name) values (%(host)s)", values)
        connection.execute(
            "insert into feed (id, url, publisher, host) overriding system value "
            "values (%(id)s, 'https://' || %(host)s || '/feed.xml', %(publisher)s, %(host)s)",
            values,
        )


def _feed(written: Written) -> int:
    return written.number % prose.PUBLISHERS + 1


def _stored(written: Written) -> Stored:
    return Stored(
        written.number + 1,
        written,
        fingerprints.digest(written.title, f"{written.lead}\n{written.text}"),
        fingerprints.shingles(written.text),
    )


def _copy(connection: psycopg.Connection[Any], table: Table, batch: list[Stored]) -> None:
    columns = [column.split() for column in table.columns.split(", ")]
    names = ", ".join(name for name, _ in columns)
    with connection.cursor().copy(f"copy {table.name} ({names}) from stdin (format binary)".encode()) as copy:
        copy.set_types([kind for _, kind in columns])
        for stored in batch:
            for row in table.rows(stored):
                copy.write_row(row)


def document(it: Written) -> Document:
    """What the index gets of an article."""
    return Document(
        id=str(it.number + 1),
        version=1,
        url=it.url,
        title=it.title,
        lead=it.lead,
        text=it.text,
        publisher=it.publisher,
        publisher_name=it.publisher,
        family="",
        country="",
        language="fr",
        first_seen=SEEN,
        published=it.published,
        topics=it.topics,
        topic_scores=(5.0,) * len(it.topics),
        words=len(it.text.split()),
        completeness="full",
    )


def main() -> None:
    """Fill the index."""
    count, config, *library = sys.argv[1:]
    with workshop.given(library).runtime(Path(config)) as runtime:
        index = runtime.index
        generation = index.begin_rebuild()
        articles = prose.articles(0, int(count))
        while batch := [document(written) for written in islice(articles, COMMITTED)]:
            index.put(batch, generation=generation)
            print(json.dumps(len(batch)), flush=True)  # noqa: T201  the answer
        index.finish_rebuild(generation)
    print(json.dumps(0), flush=True)  # noqa: T201  the end


if __name__ == "__main__":
    main()
