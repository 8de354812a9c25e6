"""The order of work leaves no trace: whoever comes first, in whatever batches, the library ends the same.

The facts are readings of invented articles: copies, revisions, several URLs of one article, changes of
language. Each order takes them in turns with DEDUPLICATE and TAG, in batches of its own.
"""

import contextlib
import os
import random
from datetime import timedelta

import databases
import pytest
import state
from readings import (
    COURRIER,
    DEPECHE,
    GAZETTE,
    START,
    UKRAINE,
    begin,
    part,
    prose,
    publishers,
    read,
    settle,
    take,
    work,
)

from pipeline.model import Feed, FeedEntry, Stage
from pipeline.stages import discover, index
from pipeline.store import entries

pytestmark = pytest.mark.slow

ORDERS = int(os.environ.get("VEILLE_ORDERS", "40"))
GROUPS = 8  # tests, so that none takes long


def dispatch():
    """One dispatch: whole, cut, with a head of its own; its earliest carrier may be found last."""
    text = f"{prose('dispatch')}\n{UKRAINE}"
    yield [read(f"{GAZETTE}/garanties-100001", text, title="Des garanties de sécurité", day=2)]
    yield [read(f"{COURRIER}/garanties", text, day=3)]
    yield [read(f"{DEPECHE}/garanties-coupe", part(text, 120), day=4)]
    yield [read(f"{DEPECHE}/garanties", f"{prose('own head', 60)} {text}", day=1)]


def several_urls():
    """One article under two URLs: by its number, its text, its guid, and by what its page calls itself.

    The text is that of a revision that has been replaced.
    """
    match, story, slug, surface = prose("match"), prose("story"), prose("slug"), prose("surface")
    yield [
        read(f"{GAZETTE}/sport/match-100002", match, day=2),
        read(f"{GAZETTE}/sport/match-100002", f"{match} Fin.", day=2),
    ]
    yield [read(f"{GAZETTE}/une/match-100002", match, day=2)]
    yield [
        read(f"{COURRIER}/recit", story, title="Le récit"),
        read(f"{COURRIER}/recit", prose("rewritten"), title="Autre récit"),
    ]
    yield [read(f"{COURRIER}/magazine/recit", story, title="Le récit")]
    yield [read(f"{COURRIER}/avant", slug, title="Avant")]
    yield [read(f"{COURRIER}/apres", f"{slug} Suite.", title="Après", hour=1)]
    yield [read(f"{COURRIER}/vraie-surface", surface, page=f"{COURRIER}/vraie")]
    yield [read(f"{COURRIER}/vraie", surface)]


def two_that_are_one():
    """Two articles, each copied, that a third reading joins: its page names one, its guid the other."""
    first, second = prose("first"), prose("second")
    yield [read(f"{COURRIER}/premier", first, day=2)]
    yield [read(f"{COURRIER}/second", second, day=3)]
    yield [read(f"{DEPECHE}/copie-du-premier", first, day=5)]
    yield [read(f"{DEPECHE}/copie-du-second", second, day=1)]
    yield [read(f"{COURRIER}/premier-joint", prose("joint"), day=2, hour=1, page=f"{COURRIER}/premier")]


def revisions():
    """One no longer is a copy, one becomes a copy, and in one the evidence changes but not the score."""
    text, proof = prose("model"), prose("proof")
    yield [read(f"{GAZETTE}/modele-100003", text, day=2)]
    yield [read(f"{COURRIER}/copiait", text, day=3), read(f"{COURRIER}/copiait", prose("own"), day=3)]
    yield [read(f"{DEPECHE}/copie", prose("before"), day=4), read(f"{DEPECHE}/copie", text, day=4)]
    yield [
        read(f"{COURRIER}/preuves", f"{UKRAINE}\n{proof}"),
        read(f"{COURRIER}/preuves", f"{UKRAINE.replace('alliés', 'voisins')}\n{proof}"),
    ]


def languages():
    """One that turns English, one that was; one of two URLs of an article that turns to and fro."""
    turning, back, voice = prose("turning"), prose("back"), prose("voice")
    yield [
        read(f"{COURRIER}/devient-anglais", turning),
        read(f"{COURRIER}/devient-anglais", turning, title="English", language="en"),
    ]
    yield [read(f"{DEPECHE}/copie-de-l-anglais", turning, day=2)]
    yield [read(f"{DEPECHE}/copie-de-la-copie", part(turning, 150), day=3)]
    yield [
        read(f"{GAZETTE}/etait-anglais", back, title="English", language="en"),
        read(f"{GAZETTE}/etait-anglais", back),
    ]
    yield [read(f"{DEPECHE}/copie-du-francais", back, day=2)]
    yield [
        read(f"{GAZETTE}/a/voix-100004", voice, day=1),
        read(f"{GAZETTE}/a/voix-100004", voice, day=1, title="Voice", language="en"),
        read(f"{GAZETTE}/a/voix-100004", voice, day=1, title="La voix"),
        read(f"{GAZETTE}/a/voix-100004", f"{voice} End.", day=1, title="Voice", language="en"),
    ]
    yield [read(f"{GAZETTE}/b/voix-100004", voice, day=2)]
    yield [read(f"{DEPECHE}/voix", voice, day=3)]


def leads():
    """The same words under two URLs, but under one of them the first paragraph is the lead."""
    head, body = prose("head", 100), prose("body", 120)
    yield [read(f"{GAZETTE}/a/chapeau-100005", f"{head}\n{body}", title="Le chapeau", day=3)]
    yield [read(f"{GAZETTE}/b/chapeau-100005", body, lead=head, title="Le chapeau", day=2)]
    yield [read(f"{DEPECHE}/chapeau", head, day=4)]
    yield [read(f"{DEPECHE}/corps", f"{prose('tail', 60)} {body}", day=4)]


def the_facts():
    """The readings, one list a URL, in the order in which its page was read."""
    kinds = (dispatch, several_urls, two_that_are_one, revisions, languages, leads)
    return [readings for kind in kinds for readings in kind()]


def read_feeds(runtime):
    """A feed in which two pairs of URLs have one guid, one URL after the other."""
    feed = f"{COURRIER}/feed.xml"
    for number, slugs in enumerate([("avant", "second"), ("apres", "premier-joint")]):
        found = tuple(
            FeedEntry(f"{COURRIER}/{slug}", f"{COURRIER}/{slug}", guid=f"guid-{1000 + which}", title=slug)
            for which, slug in enumerate(slugs)
        )
        at = START + timedelta(hours=number)
        body = str(number).encode()
        discover.import_feed(runtime, "readings", feed, body, Feed("rss", found), at=at, publisher="courrier")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return publishers(tmp_path_factory.mktemp("order"))


@pytest.fixture
def library(server, template, open_runtime, config, tmp_path):
    """Libraries to begin with: `with library() as runtime`."""

    @contextlib.contextmanager
    def opened():
        name = databases.clone(server, template)
        runtime = open_runtime(server.url(name), tmp_path / name, config=config)
        begin(runtime)
        read_feeds(runtime)
        yield runtime
        runtime.store.close()
        databases.drop(server, name)

    return opened


def final(runtime):
    """Do what is left and return the state; the index is equal to the store."""
    settle(runtime)
    assert not any(index.differences(runtime).values())
    return state.of(runtime)


def at_once(runtime):
    """All facts as they stand, then all work."""
    take(runtime, *(reading for readings in the_facts() for reading in readings))
    return final(runtime)


def in_some_order(runtime, rng):
    """The facts, shuffled but for the readings of each page, in turns with work."""
    left = the_facts()
    while left:
        for readings in rng.sample(left, rng.randint(1, min(8, len(left)))):
            take(runtime, readings.pop(0))
        left = [readings for readings in left if readings]
        for stage in rng.choices([Stage.DEDUPLICATE, Stage.TAG], k=rng.randint(0, 3)):
            work(runtime, stage, rng)
    for stage in rng.choices([Stage.DEDUPLICATE, Stage.TAG], k=10):
        work(runtime, stage, rng)
    return final(runtime)


def test_the_facts_hold_what_they_say(library):
    """Else the orders would agree on little: who copies whom, who is whose URL, what is not French."""
    with library() as runtime:
        found = at_once(runtime)

    documents = {_short(urls): _short(document["copy_of"]) for urls, document in found["documents"].items()}
    outcomes = {_short(url): outcome for url, (_, outcome) in found["entries"].items()}
    assert {copy: original for copy, original in documents.items() if original} == {
        "garanties-100001": "garanties",
        "garanties-coupe": "garanties",
        "copie-du-premier": "premier premier-joint second",
        "copie": "modele-100003",
        "copie-de-la-copie": "copie-de-l-anglais",
        "copie-du-francais": "etait-anglais",
        "voix": "a/voix-100004 b/voix-100004",
        "corps": "a/chapeau-100005 b/chapeau-100005",
    }
    assert {urls for urls in documents if " " in urls} == {
        "sport/match-100002 une/match-100002",
        "magazine/recit recit",
        "apres avant",
        "vraie vraie-surface",
        "premier premier-joint second",
        "a/voix-100004 b/voix-100004",
        "a/chapeau-100005 b/chapeau-100005",
    }
    assert [url for url, outcome in outcomes.items() if outcome == "not_french"] == ["devient-anglais"]


def _short(urls):
    return " ".join(url.partition(".invalid/")[2] for url in urls.split())


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_order_and_any_batches_end_the_same(group, library):
    """Of 40 orders, each ends in the state that the plainest one ends in."""
    with library() as runtime:
        expected = at_once(runtime)
    for seed in range(group, ORDERS, GROUPS):
        with library() as runtime:
            found = in_some_order(runtime, random.Random(seed))
        for what in expected:
            assert found[what] == expected[what], f"order {seed}"


def test_doing_all_work_again_changes_nothing(library):
    """Every entry compared and tagged a second time, in another order: the same state."""
    with library() as runtime:
        expected = at_once(runtime)
        with runtime.store.transaction("again") as tx:
            for row in tx.execute("select id from entry where article_id is not null").fetchall():
                entries.requeue(tx, row["id"], at=runtime.now())
        rng = random.Random(0)
        for stage in rng.choices([Stage.DEDUPLICATE, Stage.TAG], k=10):
            work(runtime, stage, rng)
        assert final(runtime) == expected
