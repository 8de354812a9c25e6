"""The whole line, from the newsroom's feeds to the index, on real engines."""

import json
import logging

import pytest
import state
from line import run_line

from pipeline import steps
from pipeline.archive import Pointer
from pipeline.model import Outcome, Tombstone
from pipeline.stages import index
from pipeline.store import articles, leases, outbox, runs
from pipeline.store.runs import Run

pytestmark = pytest.mark.slow


def report(runtime, run):
    with runtime.store.transaction("report") as tx:
        return runs.report(tx, run)


def rows(runtime, query, *values):
    with runtime.store.transaction("look") as tx:
        return tx.execute(query, values).fetchall()


def test_every_entry_ends_in_one_outcome_and_the_report_adds_up(runtime, first_edition):
    """What was discovered is the sum of the outcomes; nothing waits at the end of a quiet run."""
    found = report(runtime, run_line(runtime))

    assert found.discovered == sum(found.outcomes.values()) > 20
    assert found.waiting == 0
    assert found.adds_up


def test_the_special_cases_of_the_newsroom_end_as_they_must(runtime, first_edition):
    """A 404 is gone, robots.txt is obeyed, a loopback link is refused, English is kept but not indexed."""
    found = report(runtime, run_line(runtime))

    assert found.pages["gone"] == found.pages["address_refused"] == found.pages["robots"] == 1
    assert found.outcomes[Outcome.FAILED] == 2
    assert found.outcomes[Outcome.NOT_FRENCH] == 1
    robots = rows(runtime, "select * from entry where page_fate = 'robots'")
    assert [entry["outcome"] for entry in robots] == ["new"], "its feed's summary makes an article"


def test_a_second_run_adds_nothing(runtime, first_edition):
    """The same feeds again: everything is already known, no page is asked for again, nothing is written."""
    run_line(runtime)
    before = state.of(runtime)
    again = report(runtime, run_line(runtime))

    assert again.discovered == 0
    assert again.polls == {"unchanged": 4}
    assert state.of(runtime) == before


def test_a_changed_article_becomes_a_revision_of_the_same_article(runtime, first_edition):
    """Between two polls one article gains a paragraph: one more revision, no more articles."""
    run = run_line(runtime)
    before = state.of(runtime)
    first_edition.publish_edition(2)
    second = report(runtime, run_line(runtime))
    after = state.of(runtime)

    assert second.discovered == 0
    assert second.read_again == {"revised": 1}
    assert report(runtime, run).outcomes[Outcome.REVISED] == 1
    assert len(after["revisions"]) == len(before["revisions"]) + 1
    assert after["documents"].keys() == before["documents"].keys()
    changed = [name for name in after["documents"] if after["documents"][name] != before["documents"][name]]
    assert len(changed) == 1
    assert after["documents"][changed[0]]["revision"] == 2


def test_the_dispatch_is_one_group(runtime, first_edition):
    """The three carriers of one dispatch share text, and two of them copy the first."""
    run_line(runtime)

    documents = state.of(runtime)["documents"]
    copies = [d for d in documents.values() if d["copy_of"]]

    assert len(copies) == 2
    assert len({copy["copy_of"] for copy in copies}) == 1
    original = documents[copies[0]["copy_of"]]
    assert original["copies"] == 2
    assert {original["publisher"], *(c["publisher"] for c in copies)} == {
        p.id for p in runtime.catalogue.publishers
    }


def test_the_index_is_equal_to_the_store(runtime, first_edition):
    """After a run, and after a rebuild, every document is in the index at its version."""
    run_line(runtime)
    assert not any(index.differences(runtime).values())
    documents = index.rebuild(runtime)

    assert documents == runtime.index.count() > 20
    assert not any(index.differences(runtime).values())


def test_differences_are_seen(runtime, first_edition):
    """A document that the index lost, and one that it should not have, are both named."""
    run_line(runtime)
    lost = next(iter(runtime.index.versions()))
    runtime.index.delete([Tombstone(lost, 99)])
    assert index.differences(runtime)["missing"] == [lost]


def test_a_document_that_the_engine_refused_is_named_and_offered_again(runtime, first_edition):
    """It is kept with the engine's reason and hides behind no other state; a rebuild offers it again."""
    run_line(runtime)
    id_ = next(iter(runtime.index.versions()))
    with runtime.store.transaction("refuse") as tx:
        articles.touch(tx, [int(id_)], now=runtime.now())
        token = leases.new_token(tx)
        outbox.claim(tx, token=token, lease=0, now=runtime.now(), limit=1)
        outbox.quarantine(tx, token, {int(id_): (dict(articles.versions(tx))[id_], "too long a word")})
    index.drain(runtime, "a run")
    assert index.differences(runtime)["refused"] == [id_]

    index.rebuild(runtime)
    index.drain(runtime, "rebuild")

    assert not any(index.differences(runtime).values())


def test_the_topic_is_found_by_search(runtime, first_edition):
    """The security guarantees are found by their words, with and without apostrophe, and by their topic."""
    from pipeline.search import Filters

    run_line(runtime)
    topic = Filters(topics=("ukraine-garanties-securite",))

    tagged = {result.id for result in runtime.index.search("*", filters=topic, limit=50).results}
    worded = {r.id for r in runtime.index.search("garantie de sécurité pour l’Ukraine", limit=50).results}

    assert len(tagged) >= 3
    assert tagged & worded
    social = runtime.index.search('"sécurité sociale"', limit=5).results
    assert social
    assert not tagged & {result.id for result in social}


def test_every_page_that_a_row_points_to_can_be_read(runtime, first_edition):
    """Rows point into the archive, and what they point to is the page as it was received."""
    run_line(runtime)
    pages = rows(runtime, "select * from page where archive_file is not null")
    polls = rows(runtime, "select * from poll where archive_file is not null")

    assert len(pages) > 20
    assert len(polls) == 4
    for row in pages + polls:
        pointer = Pointer(row["archive_file"], row["archive_offset"], row["archive_length"])
        headers, body = runtime.archive.read(pointer)
        assert headers
        assert body


def test_a_page_is_not_asked_for_between_two_due_times(runtime, first_edition):
    """A run that comes a moment later asks for no page again."""
    run_line(runtime)
    before = rows(runtime, "select count(*) as n from page")
    run_line(runtime)

    assert rows(runtime, "select count(*) as n from page") == before


def test_a_run_for_an_old_day_asks_no_live_feed(runtime, first_edition):
    """Live feeds would answer with today; the report says that they were not asked, and why."""
    steps.begin(runtime, "old", "backfill", (None, None))
    found = report(runtime, "old")

    assert not found.run.polls
    assert "backfill" in found.run.reason
    assert found.polls == {}


def test_the_log_holds_no_text_of_a_page(runtime, first_edition, caplog, monkeypatch):
    """Events carry run, host and entry, never what a page says."""
    monkeypatch.setattr(logging.getLogger("pipeline"), "propagate", True)
    with caplog.at_level(logging.DEBUG, logger="pipeline"):
        run_line(runtime)
    lines = "\n".join(json.dumps(vars(record), default=str) for record in caplog.records)
    texts = [row["text"] for row in rows(runtime, "select text from revision where length(text) > 200")]

    assert "fetched" in lines
    assert not [text for text in texts if text[50:110] in lines]


def test_a_run_started_twice_is_one_run(runtime):
    """A retried first task does not make a second run."""
    run = Run("same", "manual", polls=True, reason="a test")
    steps.start(runtime, run)
    steps.start(runtime, run)

    assert rows(runtime, "select count(*) as n from run where id = 'same'") == [{"n": 1}]
