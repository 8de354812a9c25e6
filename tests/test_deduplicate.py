"""Who is who: the keys of an article, what becomes of two that are one, and of what was copied."""

import dataclasses
from datetime import timedelta

import pytest
import state
from readings import (
    COURRIER,
    DEPECHE,
    GAZETTE,
    START,
    UKRAINE,
    opened,
    prose,
    read,
    rows,
    settle,
    take,
    work,
)

from pipeline.model import Feed, FeedEntry, Stage
from pipeline.reading.articles import extract
from pipeline.stages import deduplicate, discover
from pipeline.store import entries, leases

pytestmark = pytest.mark.slow


@pytest.fixture
def runtime(open_runtime, tmp_path):
    """A library of its own."""
    return opened(open_runtime, tmp_path)


def keys(runtime, kind):
    with runtime.store.transaction("look") as tx:
        found = tx.execute("select value from article_key where kind = %s order by value", [kind])
        return [row["value"] for row in found]


def poll(runtime, *items, number=0, publisher="courrier"):
    """A capture of a feed with these (slug, guid), or (slug, guid, title), in it."""
    found = tuple(
        FeedEntry(f"{COURRIER}/{slug}", f"{COURRIER}/{slug}", guid=guid, title="".join(title))
        for slug, guid, *title in items
    )
    discover.import_feed(
        runtime,
        "readings",
        f"{COURRIER}/feed.xml",
        str(number).encode(),
        Feed("rss", found),
        at=START + timedelta(hours=number),
        publisher=publisher,
    )


def copies(runtime):
    """Who copies whom."""
    return {
        url: document["copy_of"]
        for url, document in state.of(runtime)["documents"].items()
        if document["copy_of"]
    }


# --- keys


def test_the_number_is_the_publishers_on_whose_host_the_page_is(runtime):
    """Carried by an agency's feed, an article still has its publisher's number, and is found by it."""
    carried = dataclasses.replace(read(f"{GAZETTE}/a/pont-100001", prose("a")), publisher="depeche")
    settle(runtime, carried, read(f"{GAZETTE}/b/pont-100001", prose("b")))

    assert keys(runtime, "id") == ["gazette:100001"]
    assert [outcome for _, outcome in state.of(runtime)["entries"].values()] == ["new", "duplicate"]


def test_the_number_may_stand_in_what_the_page_calls_itself(runtime):
    """An aggregator's own address leads to it through the page."""
    settle(
        runtime,
        read("https://agregateur.invalid/x", prose("a"), page=f"{GAZETTE}/a/pont-100001"),
        read(f"{GAZETTE}/b/pont-100001", prose("b")),
    )

    assert keys(runtime, "id") == ["gazette:100001"]
    assert len(state.of(runtime)["documents"]) == 1


def test_pages_that_name_one_address_for_all_stay_apart(runtime):
    """Three articles whose template calls each of them by the section's address are three."""

    def reading(slug):
        html = f"""<html><link rel=canonical href=/vie/><title>Titre {slug}</title>
            <article><p>{prose(slug)}</p></article></html>"""
        told = read(f"{COURRIER}/vie/{slug}", "")
        return dataclasses.replace(
            told, article=dataclasses.replace(extract(html, url=told.url, fetched_at=START), language="fr")
        )

    settle(runtime, *map(reading, ("a1", "a2", "a3")))

    assert [outcome for _, outcome in state.of(runtime)["entries"].values()] == ["new"] * 3
    assert runtime.index.count() == 3


def test_pages_that_lead_to_one_address_stay_apart(runtime):
    """As to a notice of maintenance: once their texts are back, each is an article of its own."""
    notice = f"{COURRIER}/maintenance"
    slugs = ("le-pont", "la-halle", "le-port")
    settle(runtime, *(read(f"{COURRIER}/{slug}", "De retour bientôt.", page=notice) for slug in slugs))
    settle(runtime, *(read(f"{COURRIER}/{slug}", prose(slug)) for slug in slugs))

    assert runtime.index.count() == 3
    assert not rows(runtime, "select value from article_key where value like '%maintenance'")


def test_a_guid_that_several_items_carry_at_once_is_no_name(runtime):
    """A feed that gives every item one guid, with a year in it, does not make its articles one."""
    poll(runtime, ("a", "tag:courrier,2026:rss"), ("b", "tag:courrier,2026:rss"), ("c", "courrier-1003"))
    settle(runtime, *(read(f"{COURRIER}/{slug}", prose(slug)) for slug in "abc"))

    assert len(state.of(runtime)["documents"]) == 3
    assert [guid.partition(":")[2] for guid in keys(runtime, "guid")] == ["courrier-1003"]


def test_the_address_of_a_feed_is_no_name_of_an_article(runtime):
    """A feed of one item that gives its own address as the item's guid."""
    for number, slug in enumerate("abc"):
        poll(runtime, (slug, f"{COURRIER}/rss/une-2026.xml"), number=number)
    settle(runtime, *(read(f"{COURRIER}/{slug}", prose(slug)) for slug in "abc"))

    assert len(state.of(runtime)["documents"]) == 3


def test_a_guid_that_moves_to_another_url_names_one_article(runtime):
    """As when a title is corrected, and the address with it."""
    poll(runtime, ("avant", "courrier-1001"))
    poll(runtime, ("apres", "courrier-1001"), number=1)
    settle(runtime, read(f"{COURRIER}/avant", prose("a")), read(f"{COURRIER}/apres", prose("b"), hour=1))

    assert list(state.of(runtime)["documents"]) == [f"{COURRIER}/apres {COURRIER}/avant"]


def test_one_text_of_one_publisher_and_moment_is_one_article(runtime):
    text = prose("text")
    settle(runtime, *(read(f"{COURRIER}/{slug}", text, title="Un titre") for slug in "ab"))

    assert list(state.of(runtime)["documents"]) == [f"{COURRIER}/a {COURRIER}/b"]


def test_a_wall_before_articles_of_one_minute_does_not_make_them_one(runtime):
    """Its text and title are the same for all, and none of them has that title."""
    poll(runtime, ("pont", "", "Le pont rouvre"), ("ecole", "", "École fermée"), ("foire", "", "La foire"))
    wall = prose("wall")
    settle(
        runtime,
        *(read(f"{COURRIER}/{slug}", wall, title="Vos données") for slug in ("pont", "ecole", "foire")),
    )
    settle(runtime, read(f"{COURRIER}/pont", prose("pont"), title="Le pont rouvre"))

    assert len(state.of(runtime)["documents"]) == 3


def test_the_text_names_its_article_where_it_has_the_feed_s_title(runtime):
    poll(runtime, ("pont", "", "Le pont rouvre"), ("le-pont", "", "DIRECT. Le pont rouvre"))
    readings = (
        read(f"{COURRIER}/{slug}", prose("pont"), title="Le pont rouvre") for slug in ("pont", "le-pont")
    )
    settle(runtime, *readings)

    assert len(state.of(runtime)["documents"]) == 1


def test_one_text_at_another_moment_or_elsewhere_is_a_copy(runtime):
    """What recurs, or stands before every article as a wall, must not make one article of all."""
    text = prose("text")
    settle(
        runtime,
        read(f"{COURRIER}/a", text, title="Un titre"),
        read(f"{COURRIER}/b", text, title="Un titre", hour=1),
        read(f"{DEPECHE}/c", text, title="Un titre", hour=2),
    )

    assert copies(runtime) == {f"{COURRIER}/b": f"{COURRIER}/a", f"{DEPECHE}/c": f"{COURRIER}/a"}


def test_a_text_that_was_replaced_still_names_its_article(runtime):
    """Whether the stage came by before the revision or after it."""
    old, new = (
        read(f"{COURRIER}/a", prose("old"), title="Un"),
        read(f"{COURRIER}/a", prose("new"), title="Deux"),
    )
    take(runtime, old, new)
    settle(runtime, read(f"{COURRIER}/b", prose("old"), title="Un"))

    assert list(state.of(runtime)["documents"]) == [f"{COURRIER}/a {COURRIER}/b"]


# --- two that are one


@pytest.fixture
def joined(runtime):
    """Two articles, the later one tagged and copied, until a page names one and its guid the other."""
    poll(runtime, ("premier", "courrier-1001"))  # so it is the earlier article
    poll(runtime, ("second-joint", "courrier-1001"), number=1)
    settle(
        runtime,
        read(f"{COURRIER}/premier", prose("first"), day=2),
        read(f"{COURRIER}/second", f"{prose('second')}\n{UKRAINE}", day=3),
        read(f"{DEPECHE}/copie", f"{prose('second')}\n{UKRAINE}", day=4),
    )
    assert copies(runtime) == {f"{DEPECHE}/copie": f"{COURRIER}/second"}
    assert runtime.index.count() == 3
    settle(runtime, read(f"{COURRIER}/second-joint", prose("third"), day=5, page=f"{COURRIER}/second"))
    return runtime


def test_the_later_article_leaves_the_index(joined):
    """Its document is deleted, its tombstone acknowledged, and its copies no longer point at it."""
    assert joined.index.count() == 2
    assert rows(joined, "select * from outbox") == []
    assert copies(joined) == {}
    assert rows(joined, "select merged_into from article where merged_into is not null") == [
        {"merged_into": 1}
    ]


def test_nothing_of_a_merged_article_is_left_behind(joined):
    """No key, entry, band, edge or tag leads to it."""
    merged = "(select id from article where merged_into is not null)"
    for table in ("article_key", "entry", "band", "fingerprint", "tag"):
        assert rows(joined, f"select * from {table} where article_id in {merged}") == [], table
    assert rows(joined, f"select * from copy where a in {merged} or b in {merged}") == []


def test_all_entries_but_the_one_that_speaks_become_duplicates(joined):
    """Those that were done long ago, too."""
    assert {url.rpartition("/")[2]: outcome for url, (_, outcome) in state.of(joined)["entries"].items()} == {
        "premier": "new",
        "second": "duplicate",
        "second-joint": "duplicate",
        "copie": "new",
    }


def test_a_worker_that_claimed_before_the_merge_does_not_undo_it(runtime):
    """It knows the entry's article of then: what counts is that of now, and the tombstone is left alone."""
    a, b = f"{COURRIER}/a", f"{COURRIER}/b"
    settle(runtime, read(a, prose("a")), read(b, prose("b")))
    take(runtime, read(b, prose("b, revised")))
    with runtime.store.transaction("claim") as tx:
        token = leases.new_token(tx)
        claimed = entries.claim(tx, Stage.DEDUPLICATE, token=token, lease=60, now=runtime.now(), limit=1)
    c = f"{COURRIER}/a-b"
    settle(runtime, read(c, prose("c"), page=a), read(c, prose("d"), page=b))
    tombstone = rows(runtime, "select version from article where merged_into is not null")

    deduplicate.work(runtime, "readings", token, claimed)

    assert len(tombstone) == 1
    assert rows(runtime, "select version from article where merged_into is not null") == tombstone
    assert len(rows(runtime, "select distinct article_id from entry")) == 1


# --- what is shared


def test_an_original_that_stops_being_french_is_no_original(runtime):
    """Its copies find another; its bands, edges, tags and document go."""
    text = f"{prose('text')}\n{UKRAINE}"
    settle(
        runtime,
        read(f"{COURRIER}/a", text),
        read(f"{DEPECHE}/b", text, day=2),
        read(f"{GAZETTE}/c-100001", text, day=3),
    )
    assert copies(runtime) == {f"{DEPECHE}/b": f"{COURRIER}/a", f"{GAZETTE}/c-100001": f"{COURRIER}/a"}
    settle(runtime, read(f"{COURRIER}/a", text, title="English", language="en"))

    assert copies(runtime) == {f"{GAZETTE}/c-100001": f"{DEPECHE}/b"}
    gone = "(select id from article where not indexed)"
    for table in ("band", "fingerprint", "tag"):
        assert rows(runtime, f"select * from {table} where article_id in {gone}") == [], table
    assert runtime.index.count() == 2


def test_an_article_is_kept_while_one_of_its_urls_is_french(runtime):
    """The other edition may come first in every other respect."""
    settle(
        runtime,
        read(f"{GAZETTE}/a/voix-100001", prose("text"), title="Voice", day=1),
        read(f"{GAZETTE}/b/voix-100001", prose("text"), title="La voix", day=2),
    )
    settle(runtime, read(f"{GAZETTE}/a/voix-100001", prose("text"), title="The voice", day=1, language="en"))

    [document] = state.of(runtime)["documents"].values()
    assert (document["title"], document["language"]) == ("La voix", "fr")


def test_an_earlier_original_found_later_takes_over(runtime):
    text = prose("text")
    settle(runtime, read(f"{COURRIER}/b", text, day=2), read(f"{DEPECHE}/c", text, day=3))
    settle(runtime, read(f"{GAZETTE}/a-100001", text, day=1))

    assert set(copies(runtime).values()) == {f"{GAZETTE}/a-100001"}
    assert state.of(runtime)["documents"][f"{GAZETTE}/a-100001"]["copies"] == 2


def test_the_lead_of_one_url_may_be_the_first_paragraph_of_another(runtime):
    """Title, lead and text are the same words, but not the text alone: it is compared anew."""
    head, body = prose("head", 100), prose("body", 120)
    settle(
        runtime,
        read(f"{GAZETTE}/a/chapeau-100001", f"{head}\n{body}", title="Le chapeau", day=3),
        read(f"{DEPECHE}/copie", head, day=4),
    )
    assert copies(runtime)
    settle(runtime, read(f"{GAZETTE}/b/chapeau-100001", body, lead=head, title="Le chapeau", day=2))

    assert copies(runtime) == {}


@pytest.mark.parametrize(("day", "copied"), [(31, True), (32, False)])
@pytest.mark.parametrize("later_first", [False, True])
def test_a_copy_is_published_within_30_days(runtime, day, copied, later_first):
    """Whichever of the two is compared first."""
    pair = [read(f"{COURRIER}/a", prose("text"), day=1), read(f"{DEPECHE}/b", prose("text"), day=day)]
    for reading in reversed(pair) if later_first else pair:
        settle(runtime, reading)

    assert copies(runtime) == ({f"{DEPECHE}/b": f"{COURRIER}/a"} if copied else {})


def test_an_article_without_a_date_is_compared_with_all(runtime):
    """It is taken for the later one."""
    undated = read(f"{DEPECHE}/b", prose("text"))
    undated = dataclasses.replace(undated, article=dataclasses.replace(undated.article, published=None))
    settle(runtime, read(f"{COURRIER}/a", prose("text"), day=1), undated)
    settle(runtime, read(f"{GAZETTE}/c-100001", prose("text"), day=300))

    assert copies(runtime) == {f"{DEPECHE}/b": f"{COURRIER}/a"}


@pytest.mark.parametrize("days", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)])
def test_a_series_points_at_its_first_and_then_at_its_next(runtime, days):
    """Whoever came first; where the first turns to another text, the second takes its place."""
    series = [read(f"{COURRIER}/{day}", f"{prose(day, 10)} {prose('series')}", day=day) for day in days]
    for reading in series:
        settle(runtime, reading)
    assert copies(runtime) == {f"{COURRIER}/{day}": f"{COURRIER}/1" for day in (2, 3, 4)}
    assert rows(runtime, "select count(*) as n from copy") == [{"n": 6}]
    settle(runtime, read(f"{COURRIER}/1", prose("own"), day=1))

    assert copies(runtime) == {f"{COURRIER}/{day}": f"{COURRIER}/2" for day in (3, 4)}
    settle(runtime, read(f"{COURRIER}/2", f"{prose(2, 11)} {prose('series')}", day=5))
    assert copies(runtime) == {f"{COURRIER}/{day}": f"{COURRIER}/3" for day in (2, 4)}


# --- topics


def test_evidence_is_that_of_the_present_text(runtime):
    """Other sentences under the same scores are other evidence; the document, which has none, stays."""
    settle(runtime, read(f"{COURRIER}/a", UKRAINE))
    before = rows(runtime, "select topic, score from tag order by topic")
    take(runtime, read(f"{COURRIER}/a", UKRAINE.replace("alliés", "voisins")))
    work(runtime, Stage.DEDUPLICATE)
    version = rows(runtime, "select version from article")
    work(runtime, Stage.TAG)

    assert before
    assert rows(runtime, "select topic, score from tag order by topic") == before
    sentences = {hit["sentence"] for row in rows(runtime, "select hits from tag") for hit in row["hits"]}
    assert any("voisins" in sentence for sentence in sentences)
    assert not any("alliés" in sentence for sentence in sentences)
    assert rows(runtime, "select version from article") == version


def test_topics_are_those_of_the_entry_that_speaks(runtime):
    """An earlier URL of the article that is read later brings its own text, and its own topics."""
    settle(runtime, read(f"{GAZETTE}/a/pont-100001", UKRAINE, day=2))
    assert rows(runtime, "select * from tag")
    settle(runtime, read(f"{GAZETTE}/b/pont-100001", prose("text"), day=1))

    assert rows(runtime, "select * from tag") == []
