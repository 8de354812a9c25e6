"""Batches: what EXTRACT and TAG write of many entries at once is what they would write of each alone."""

import psycopg
import pytest
from line import run_line

from pipeline.model import Outcome, Stage
from pipeline.stages import extract, tag
from pipeline.store import entries, leases
from pipeline.store.entries import Move

pytestmark = pytest.mark.slow

MANY = 24
TAGS = "select topic, version, score, hits from tag where article_id = %s order by topic"
STATEMENTS = 12  # more than a batch takes, fewer than one an entry


def claim(runtime, stage, limit=MANY):
    with runtime.store.transaction("claim") as tx:
        token = leases.new_token(tx)
        return token, entries.claim(tx, stage, token=token, lease=60, now=runtime.now(), limit=limit)


def look(runtime, query, *values):
    with runtime.store.transaction("look") as tx:
        return tx.execute(query, values).fetchall()


def first_tagged(runtime):
    """An entry that speaks for an article with topics."""
    [one, *_] = look(
        runtime,
        "select entry.id, article.id as article, article.version from entry"
        " join article on article.entry_id = entry.id join tag on tag.article_id = article.id order by 1",
    )
    return one


def tag_again(runtime, ids):
    with runtime.store.transaction("again") as tx:
        entries.move(tx, [Move(id_, Stage.TAG, due_at=runtime.now()) for id_ in ids])
    token, rows = claim(runtime, Stage.TAG)
    assert [row.id for row in rows] == ids
    tag.work(runtime, "a run", token, rows)


@pytest.fixture
def tagged(runtime, first_edition):
    """The newsroom's first edition, at the end of its way."""
    run_line(runtime, ["discover", "fetch", "extract", "deduplicate", "tag"])
    return runtime


@pytest.mark.parametrize(
    ("stage", "before"),
    [(extract, ("discover", "fetch")), (tag, ("discover", "fetch", "extract", "deduplicate"))],
    ids=["extract", "tag"],
)
def test_a_batch_takes_a_handful_of_statements(runtime, first_edition, monkeypatch, stage, before):
    """However many entries it has: a statement is a round trip, and costs more than a row."""
    run_line(runtime, before)
    token, rows = claim(runtime, Stage(stage.__name__.rpartition(".")[2]))
    assert len(rows) == MANY
    taken = []
    execute = psycopg.Connection.execute

    def counted(connection, query, *values, **options):
        taken.append(query)
        return execute(connection, query, *values, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    stage.work(runtime, "a run", token, rows)

    assert 0 < len(list(filter(None, taken))) <= STATEMENTS
    assert look(runtime, "select count(*) as n from entry where lease_token = %s", token) == [{"n": 0}]


def test_entries_of_one_article_are_tagged_together(tagged):
    """The article gets its topics; each entry and its page are told whether it speaks for the article."""
    one = first_tagged(tagged)
    before = look(tagged, TAGS, one["article"])
    [other] = look(
        tagged,
        "update entry set article_id = %s"
        " where id = (select max(entry_id) from article where indexed and id <> %s) returning id",
        one["article"],
        one["article"],
    )
    look(tagged, "delete from tag where article_id = %s returning 1", one["article"])

    tag_again(tagged, sorted([one["id"], other["id"]]))

    assert look(tagged, TAGS, one["article"]) == before
    rows = look(
        tagged,
        "select entry.id, stage, due_at > now() as again, entry.outcome, page.outcome as of_page"
        " from entry join page on page.id = page_id where entry.id in (%s, %s)",
        one["id"],
        other["id"],
    )
    done = {"stage": Stage.DONE, "again": True}
    assert {row.pop("id"): row for row in rows} == {
        one["id"]: done | {"outcome": Outcome.NEW, "of_page": Outcome.NEW},
        other["id"]: done | {"outcome": Outcome.DUPLICATE, "of_page": Outcome.DUPLICATE},
    }


def test_an_explanation_is_written_where_the_document_stays(tagged):
    """What explains a topic, as its rule's version, is in no document: the index need not hear of it."""
    one = first_tagged(tagged)
    before = look(tagged, TAGS, one["article"])
    look(tagged, "update tag set hits = '[]', version = 0 where article_id = %s returning 1", one["article"])

    tag_again(tagged, [one["id"]])

    assert look(tagged, TAGS, one["article"]) == before
    assert look(tagged, "select version from article where id = %s", one["article"]) == [
        {"version": one["version"]}
    ]
    look(tagged, "insert into tag values (%s, 'gone', 1, 1, 1, '[]') returning 1", one["article"])

    tag_again(tagged, [one["id"]])

    assert look(tagged, TAGS, one["article"]) == before
    assert look(tagged, "select version from article where id = %s", one["article"]) == [
        {"version": one["version"] + 1}
    ]


def test_who_lost_an_entry_writes_nothing_of_it(runtime, first_edition):
    """The others of the batch are written; the lost one is as whoever took it left it."""
    run_line(runtime, ["discover", "fetch"])
    token, rows = claim(runtime, Stage.EXTRACT, limit=3)
    lost = rows[1].id
    look(runtime, "update entry set lease_token = nextval('lease_token') where id = %s returning 1", lost)

    extract.work(runtime, "a run", token, rows)

    found = look(
        runtime,
        "select entry.id, stage, count(number) as texts from entry left join revision on entry_id = entry.id"
        " where entry.id = any(%s) group by 1, 2",
        [row.id for row in rows],
    )
    assert {(row["id"], row["stage"] == "extract", row["texts"] == 0) for row in found} == {
        (row.id, row.id == lost, row.id == lost) for row in rows
    }
