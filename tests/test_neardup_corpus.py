"""Real near-duplicates: what the comparison says of two texts, and what the line finds among all of them.

Set 20: two texts of one page, days apart, are to be found; two articles of one section and day are not.
Set 22: titles and summaries that were edited under one link. All labels come from the addresses alone.
"""

import json
import os
import subprocess
import sys
import tarfile
from itertools import combinations
from pathlib import Path

import pytest

from pipeline.fingerprints import compare, digest

pytestmark = [pytest.mark.corpus, pytest.mark.slow]


def veille(*arguments, said="", **environment):
    """Run the command as its users do; return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments],
        env=os.environ | environment,
        input=said,
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def take(database_url, tmp_path):
    """`veille documents import` of these articles into the test's own store; returns the report."""

    def taken(documents):
        file = tmp_path / "documents.ndjson"
        file.write_text("".join(json.dumps(document) + "\n" for document in documents))
        home = {
            "VEILLE_HOME": str(tmp_path / "home"),
            "VEILLE_CONFIG": str(Path(__file__).parent.parent / "config"),
            "VEILLE_DATABASE_URL": database_url,
        }
        return json.loads(veille("documents", "import", str(file), "--json", **home))

    return taken


@pytest.fixture(scope="module")
def pairs(corpus, tmp_path_factory):
    """The pairs of set 20: {label, a: {url, title, text, date}, b}."""
    folder = tmp_path_factory.mktemp("pairs")
    with tarfile.open(next(corpus.glob("20*/pairs.jsonl.tar.xz"))) as tar:
        tar.extractall(folder, filter="data")
    found = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    for pair in found:
        for side in "ab":
            pair[side]["url"] = pair.get("url") or pair[f"url_{side}"]
    return found


def measure(pairs, found):
    """Precision and recall of what was found, by the labels."""
    right = [is_found for pair, is_found in zip(pairs, found, strict=True) if pair["label"]]
    wrong = [is_found for pair, is_found in zip(pairs, found, strict=True) if not pair["label"]]
    return sum(right) / max(1, sum(right) + sum(wrong)), sum(right) / len(right)


def test_two_texts_compared(pairs, floor):
    """`veille compare` finds the texts of one page and no others.

    Both that it misses are of one kind, written anew under the old address: the announcement of a ceremony
    that became its report, and news of the day that became its sequel. From .22 to .30 of either text stands
    in the other, less than in some pairs of two articles.
    """
    records = "".join(json.dumps({side: pair[side] for side in "ab"}) + "\n" for pair in pairs)
    answers = [json.loads(line) for line in veille("compare", "--ndjson", said=records).splitlines()]

    precision, recall = measure(pairs, [answer["relation"] != "none" for answer in answers])

    assert precision >= floor("neardup_precision")
    assert recall >= floor("neardup_recall")


def test_all_texts_in_the_line(pairs, floor, take, store):
    """Imported and deduplicated: bands bring the pairs up among all texts, and the edges are the pairs.

    Every two of the 784 texts are a pair here, 160 of them of one page. All 158 edges are right; what is
    missed are the two pairs that the comparison misses, none for want of a common band.
    """
    texts = list(
        {(pair[side]["title"], pair[side]["text"]): pair[side] for pair in pairs for side in "ab"}.values()
    )
    own = [f"https://texte-{number}.invalid/" for number in range(len(texts))]  # each of its own publisher
    take(
        {"url": url, "title": text["title"], "text": text["text"], "published": text["date"]}
        for url, text in zip(own, texts, strict=True)
    )

    with store.transaction("look") as tx:
        rows = tx.execute(
            "select a.publisher as a, b.publisher as b"
            " from copy join article a on a.id = copy.a join article b on b.id = copy.b"
        ).fetchall()
    edges = {frozenset((row["a"], row["b"])) for row in rows}
    everything = list(combinations(range(len(texts)), 2))
    labels = [{"label": texts[a]["url"] == texts[b]["url"]} for a, b in everything]
    found = [frozenset((f"texte-{a}.invalid", f"texte-{b}.invalid")) in edges for a, b in everything]
    precision, recall = measure(labels, found)

    assert len(edges) == sum(found) > 0
    assert precision >= floor("neardup_line_precision")
    assert recall >= floor("neardup_line_recall")


@pytest.fixture(scope="module")
def edited(corpus):
    """The items of set 22: {url, versions: [{title, summary}]}."""
    lines = next(corpus.glob("22*/edited_items.jsonl")).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_edited_items_compared(edited, floor):
    """An edited title or summary is recognised where the title still stands.

    What is missed has another title: an item is too short for its words alone to tell, and the rest of the
    press writes of one event in like words. The link is what joins these, as the next test shows.
    """
    found = [
        compare(a["title"], a["summary"], b["title"], b["summary"]).relation
        for item in edited
        for a, b in combinations(item["versions"], 2)
    ]

    assert found.count("same") / len(found) >= floor("neardup_items_recall")


def test_edited_items_are_updates(edited, take, store):
    """All versions of the 47 items: 47 entries, the last text of each, and no second article of any.

    Two items differ in punctuation alone, which makes no revision: titles are compared by their digests.
    """
    report = take(
        {"url": item["url"], "title": version["title"], "text": version["summary"] or version["title"]}
        for item in edited
        for version in item["versions"]
    )

    with store.transaction("look") as tx:
        rows = tx.execute(
            "select e.url, title from entry e join revision on entry_id = e.id and number = e.revision"
        ).fetchall()
        articles = tx.execute("select count(*) as n from article").fetchone()["n"]
    last = {item["url"]: digest(item["versions"][-1]["title"], "") for item in edited}
    assert {row["url"]: digest(row["title"], "") for row in rows} == last
    assert report["discovered"] == len(edited)
    assert articles == report["outcomes"]["new"] + report["outcomes"]["revised"]
