"""Articles that come as finished text, one JSON object a line."""

import json
import os
import subprocess

import pytest
import state
from offspring import VEILLE
from readings import COURRIER, GAZETTE, opened, publishers, rows, settle

from pipeline.errors import Permanent
from pipeline.model import Completeness, FeedEntry
from pipeline.model import Feed as ParsedFeed
from pipeline.stages import discover, documents

FRENCH = (
    "Le conseil municipal a voté mardi la réfection du pont, fermé depuis l'hiver. Les travaux doivent "
    "commencer au printemps et coûter deux millions d'euros à la commune."
)
ENGLISH = (
    "The town council voted on Tuesday to repair the bridge, which has been closed since the winter. "
    "The works should begin in spring and will cost the town two million euros."
)


def line(**changes):
    record = {
        "url": f"{GAZETTE}/pont",
        "title": "Le pont",
        "text": FRENCH,
        "published": "2026-03-02T08:00:00Z",
    }
    return json.dumps(record | changes).encode()


def test_a_line_is_an_article():
    found = documents.parse(line(publisher="gazette", lead="Un chapeau."))

    assert found.canonical_url == f"{GAZETTE}/pont"
    assert found.publisher == "gazette"
    assert found.article.language == "fr"
    assert found.article.completeness is Completeness.FULL
    assert found.article.published.isoformat() == "2026-03-02T08:00:00+00:00"
    assert (found.article.title, found.article.lead, found.article.text) == ("Le pont", "Un chapeau.", FRENCH)


@pytest.mark.parametrize(
    "bad",
    [
        b"no json",
        b"[]",
        b'"text"',
        line(url=""),
        line(url="mailto:a@b"),
        line(url=7),
        line(text=""),
        line(text=" \n"),
        line(text=None),
        line(text=["a"]),
        line(title="a\0b"),
        line(text=f"{FRENCH}\0"),
    ],
)
def test_what_is_no_article_is_refused_with_a_reason(bad):
    """What the store cannot hold is refused here, not by the store, which would refuse the whole batch."""
    with pytest.raises(Permanent) as refused:
        documents.parse(bad)
    assert str(refused.value)


@pytest.mark.parametrize("missing", [{}, {"title": None}, {"published": None}, {"published": " "}])
def test_title_and_date_may_be_missing(missing):
    assert documents.parse(line(**missing)).article.text == FRENCH


@pytest.fixture
def runtime(open_runtime, tmp_path):
    """A library of its own."""
    return opened(open_runtime, tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": " "}, "empty: url"),
        ({"text": "\n"}, "empty: text"),
        ({"published": "un de ces jours"}, "published holds no date: 'un de ces jours'"),
        ({"title": 0}, "others stand in: title"),
    ],
)
def test_the_field_that_is_wrong_is_named(changes, named):
    with pytest.raises(Permanent, match=named):
        documents.parse(line(**changes))


@pytest.mark.slow
def test_a_date_that_cannot_be_is_suspect(runtime):
    """As in pages: the future is now, what is older than feeds is no date."""
    lines = (
        line(url=f"{GAZETTE}/{year}", published=f"{year}-01-01T00:00:00Z") for year in (1066, 2026, 9000)
    )
    settle(runtime, *map(documents.parse, lines))
    found = rows(
        runtime,
        "select published, date_suspect from revision join entry on entry.id = entry_id order by entry.url",
    )

    assert [row["date_suspect"] for row in found] == [True, False, True]
    assert found[0]["published"] is None
    assert found[2]["published"] <= runtime.now()


@pytest.mark.slow
def test_the_same_text_again_changes_nothing(runtime):
    """Not even a version: other case, quotes or spacing are the same text."""
    settle(runtime, documents.parse(line()))
    before, versions = state.of(runtime), rows(runtime, "select id, version from article")
    settle(runtime, documents.parse(line(text=FRENCH.replace("'", "’").replace(" ", "  "))))

    assert state.of(runtime) == before
    assert rows(runtime, "select id, version from article") == versions


@pytest.mark.slow
def test_a_date_put_right_is_no_revision(runtime):
    """The article has the new one, in the index too."""
    settle(runtime, documents.parse(line()), documents.parse(line(published="2026-02-03")))
    found = state.of(runtime)

    assert [number for _, number, _ in found["revisions"]] == [1]
    assert found["documents"][f"{GAZETTE}/pont"]["published"].date().isoformat() == "2026-02-02"


@pytest.mark.slow
def test_another_text_is_a_revision(runtime):
    """The latest is the article's; the earlier one is kept."""
    settle(runtime, documents.parse(line()), documents.parse(line(text=f"{FRENCH} Le maire s'en félicite.")))
    found = state.of(runtime)

    assert found["entries"] == {f"{GAZETTE}/pont": ("done", "revised")}
    assert [number for _, number, _ in found["revisions"]] == [1, 2]
    assert found["documents"][f"{GAZETTE}/pont"]["text"].endswith("félicite.")


@pytest.mark.slow
def test_a_recycled_url_is_a_revision(runtime):
    """A wholly other article under a known URL cannot be told from a rewritten one: it replaces the text."""
    settle(
        runtime,
        documents.parse(line()),
        documents.parse(line(title="Le bal", text=f"Tout autre chose. {FRENCH}")),
    )

    assert [document["title"] for document in state.of(runtime)["documents"].values()] == ["Le bal"]


@pytest.mark.slow
def test_another_language_is_kept_and_no_more(runtime):
    """Text and language are stored; nothing is compared, tagged or indexed."""
    settle(runtime, documents.parse(line(text=ENGLISH, title="The bridge")))
    found = state.of(runtime)

    assert found["entries"] == {f"{GAZETTE}/pont": ("done", "not_french")}
    assert rows(runtime, "select language from revision") == [{"language": "en"}]
    assert not found["documents"]
    assert not found["keys"]


@pytest.mark.slow
def test_an_article_that_turns_english_leaves_the_index(runtime):
    """And comes back when it turns French again."""
    french, english = documents.parse(line()), documents.parse(line(text=ENGLISH, title="The bridge"))
    settle(runtime, french)
    assert runtime.index.count() == 1

    settle(runtime, english)
    assert runtime.index.count() == 0
    assert state.of(runtime)["entries"] == {f"{GAZETTE}/pont": ("done", "not_french")}

    settle(runtime, french)
    assert runtime.index.count() == 1
    assert state.of(runtime)["entries"] == {f"{GAZETTE}/pont": ("done", "revised")}


@pytest.mark.slow
def test_the_publisher_is_the_one_named_else_the_hosts_else_the_host(runtime):
    settle(
        runtime,
        documents.parse(line(url=f"{GAZETTE}/nomme", publisher="depeche")),
        documents.parse(line(url=f"{COURRIER}/connu")),
        documents.parse(line(url="https://www.inconnu.invalid/a")),
    )

    assert rows(runtime, "select publisher from entry order by id") == [
        {"publisher": "depeche"},
        {"publisher": "courrier"},
        {"publisher": "inconnu.invalid"},
    ]


@pytest.mark.slow
def test_a_page_of_which_a_feed_speaks_later_can_be_asked_for(runtime):
    """Its host is known as any other's: a page that is due where nobody may ask would hold up every run."""
    settle(runtime, documents.parse(line()))
    for hour, title in enumerate(["Le pont", "Le pont rouvre"]):
        found = ParsedFeed("rss", (FeedEntry(f"{GAZETTE}/pont", f"{GAZETTE}/pont", title=title),))
        at = runtime.now().replace(hour=0, minute=hour)
        discover.import_feed(runtime, "readings", f"{GAZETTE}/feed", title.encode(), found, at=at)

    due = (
        "select host.name from entry left join host on host.name = entry.host where entry.due_at is not null"
    )
    assert rows(runtime, due) == [{"name": "gazette.invalid"}]


@pytest.mark.slow
def test_bad_lines_are_named_and_the_others_taken(tmp_path, database_url):
    """By their number in the file, blank lines counted; the command fails, but only for those."""
    file = tmp_path / "articles.ndjson"
    good, other = line(), line(url=f"{COURRIER}/pont", title="Ailleurs")
    file.write_bytes(
        b"\n".join([good, b"", b"no json", line(url="mailto:a@b"), b" ", line(text="\0"), other])
    )
    done = subprocess.run(
        [*VEILLE, "documents", "import", str(file), "--json"],
        env=os.environ
        | {
            "VEILLE_HOME": str(tmp_path / "home"),
            "VEILLE_CONFIG": str(publishers(tmp_path)),
            "VEILLE_DATABASE_URL": database_url,
        },
        capture_output=True,
        check=False,
    )

    assert done.stdout, done.stderr.decode()
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert [refused["line"] for refused in said["refused"]] == [3, 4, 6]
    assert said["discovered"] == said["outcomes"]["new"] == 2
