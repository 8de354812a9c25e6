"""Real articles, labelled by two readers: what the shipped rules find of three topics, rightly and wrongly.

Two of the rules were corrected after their errors on these very articles had been read, so the figures are
those of development: floors against falling back, no estimate of what the rules do on other news.
"""

from collections import Counter
from pathlib import Path

import pytest
from corpora import lines

from pipeline.topics import rulebook
from pipeline.topics.tagger import Tagger

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

# Our topics and the readers'. Climate is narrower here: the readers' topic takes in biodiversity, pollution
# and environmental policy. The readers' other eleven topics have no rule.
GOLD = {
    "ukraine-garanties-securite": "ukraine-garanties-securite",
    "ukraine-diplomatie": "ukraine-diplomatie",
    "climat": "climat-environnement",
}


@pytest.fixture(scope="module")
def tagger():
    return Tagger(rulebook.load(Path(__file__).parent.parent / "config" / "topics"))


@pytest.fixture(scope="module")
def texts(corpus):
    """Title, lead and text of each labelled article, by its URL."""
    [articles, items, scraped] = (next(corpus.glob(f"{number}-*")) for number in ("40", "42", "16"))
    found = {row["url"]: (row["title"], row["description"], row["body"]) for row in lines(articles)}
    found |= {row["id"]: (row["title"], row["description"], "") for row in lines(items)}
    for row in lines(scraped):
        version = row["versions"][-1]
        found[row["url"]] = (version["title"], version.get("summary"), "")
    return {url: [text or "" for text in fields] for url, fields in found.items()}


@pytest.fixture(scope="module")
def outcomes(corpus, tagger, texts):
    """How many articles each topic is found in, rightly and wrongly, and missed; disputed ones left out."""
    counted = {topic: Counter() for topic in GOLD}
    for row in lines(next(corpus.glob("43-*"))):
        found = {tag.topic for tag in tagger.tag(*texts[row["url"]])}
        for topic, label in GOLD.items():
            if label not in row["disputed"]:
                counted[topic][topic in found, label in row["topics"]] += 1
    return counted


@pytest.mark.parametrize("topic", GOLD)
def test_topics_of_the_readers_are_found(outcomes, floor, topic):
    """At least as many as before, of those that both readers saw, and no more wrong ones."""
    pinned = floor("topics")[topic]
    outcome = outcomes[topic]

    assert outcome[True, True] + outcome[False, True] == pinned["of"]
    assert outcome[True, True] >= pinned["found"]
    assert outcome[True, False] <= pinned["wrong"]


def test_the_seed_article_carries_its_topics(corpus, tagger):
    """The article from which all this was started: guarantees of security, and the talks on them."""
    [path] = next(corpus.glob("00-*")).glob("000_*.txt")
    title, _, text = path.read_text("utf-8").partition("\n")

    found = {tag.topic for tag in tagger.tag(title, "", text.strip())}
    assert found == {"ukraine-garanties-securite", "ukraine-diplomatie"}
