"""Libraries of invented articles, written into the store at once, and all still to be indexed.

Takes none of the stages' ways: it is for tests of what follows them.
"""

from conftest import ROOT

from pipeline.runtime import Runtime
from pipeline.settings import Settings

_STATEMENTS = """
insert into run (id, kind, started_at, polls, reason)
values ('shelves', 'command', now(), false, 'a test') on conflict do nothing;
insert into article (publisher, first_seen, indexed, published, url)
select 'gazette', timestamptz '2024-12-31 12:00+01' + make_interval(hours => i), true,
    timestamptz '2025-01-01 08:00+01' + make_interval(mins => i), 'https://gazette.invalid/' || i
from generate_series(1, {count}) i;
insert into entry (canonical_url, url, host, publisher, run_id, discovered_at, stage, outcome,
    article_id, revision)
select url, url, 'gazette.invalid', publisher, 'shelves', first_seen, 'done', 'new', id, 1 from article;
update article set entry_id = entry.id from entry where entry.article_id = article.id;
insert into revision (entry_id, number, read_at, digest, url, title, lead, text, authors, section,
    date_source, date_suspect, language, language_confidence, image, completeness, completeness_reason,
    engine)
select id, 1, now(), 'x', url, 'Le port de ' || id, 'Une brève.',
    repeat('Les pêcheurs reviennent. ', {sentences}), '{{}}', 'Région', 'json-ld',
    false, 'fr', 1, '', 'full', '', 'shelves'
from entry;
insert into outbox (article_id, version, queued_at) select id, version, now() from article
"""


def fill(runtime: Runtime, count: int, *, sentences: int = 10) -> None:
    """So many articles, first seen from the last day of 2024 on, an hour apart."""
    with runtime.store.transaction("fill") as tx:
        for statement in _STATEMENTS.format(count=count, sentences=sentences).split(";"):
            tx.execute(statement.encode())


def all_again(runtime: Runtime) -> None:
    """Everything changed; the index has not heard of it."""
    with runtime.store.transaction("all_again") as tx:
        tx.execute("update article set version = version + 1")
        tx.execute(
            "insert into outbox (article_id, version, queued_at) select id, version, now() from article"
            " order by id on conflict (article_id) do update"
            " set version = excluded.version, due_at = 'epoch', reason = '', put_off = 0"
        )


def settings(home, database_url, **changes) -> Settings:
    """Of a library in this database, with the shipped catalogue; nothing in it is fetched."""
    values = {
        "home": home,
        "config": ROOT / "config",
        "archive": home / "archive",
        "database_url": database_url,
        "lease_seconds": 60.0,
    }
    return Settings(**values | changes)
