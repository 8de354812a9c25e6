"""Invented articles, as many as are wanted: French in the frequencies of its words, and in nothing else.

Their words are drawn one by one, so two articles share hardly more than chance gives; one in twenty says what
a shipped topic looks for. Half of all words would
be among the hundred commonest, as in any newspaper: that is what makes lists of an index long. The same
number always gives the same article, in every process. Stores nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Occurrences among 10 000 words, counted in 1 500 articles of Le Monde of March 2022 (731 967 words).
COMMONEST = (
    "de 534 la 312 le 240 à 225 les 192 et 184 en 173 des 165 un 118 du 117 une 107 a 106 est 94 dans 83 "
    "pour 83 qui 72 il 72 que 71 par 66 au 66 sur 64 pas 48 plus 46 ce 44 aux 43 son 40 avec 40 aussi 39 "
    "se 37 ne 36 ont 30 mais 29 sont 28 ou 27 elle 27 cette 25 sa 24 ses 23 nous 23 on 23 comme 22 été 22 "
    "monde 20 depuis 19 y 18 leur 17 fait 17 deux 17 pays 17 ces 17 france 17 ans 17"
)
# Rank and occurrences among a million, of the same count; the last is a guess at what a larger count would
# find.
RARER = (
    (50, 2149), (100, 843), (200, 419), (500, 202), (1_000, 109), (2_000, 54.6), (5_000, 19.1),
    (10_000, 8.2), (20_000, 2.7), (30_000, 1.4), (200_000, 0.05),
)  # fmt: skip
VOCABULARY = 200_000
LENGTHS = (200, 760)  # words of a text: 480 on average, as there
TITLE, LEAD, SENTENCE, PARAGRAPH = 12, 30, 22, 4  # words, words, words, sentences
NEWEST = datetime(2026, 6, 30, 12, tzinfo=UTC)
DAYS = 30  # over which they are spread: all are compared with what comes on the last day
PUBLISHERS = 40
# What an article about a topic says, each among other words; no two articles share more than that.
TOPICS = {
    "climat": ("réchauffement climatique", "gaz à effet de serre", "transition énergétique"),
    "ukraine-diplomatie": ("pourparlers en ukraine", "cessez-le-feu en ukraine", "négociateurs ukrainiens"),
    "ukraine-garanties-securite": (
        "garanties de sécurité en ukraine", "coalition des volontaires", "force multinationale en ukraine",
    ),
}  # fmt: skip
SAID_EVERY = 30  # words
BATCH = 1_000  # articles drawn at once

_SYLLABLES = [
    onset + rime
    for onset in (*"bcdfgjlmnprstv", "br", "cr", "dr", "fr", "gr", "pl", "pr", "tr", "ch", "vr")
    for rime in (*"aéiou", "ou", "an", "on", "in", "ai", "eu", "oi")
]
_TWO_SYLLABLES = 60_000  # words that have two; the rarer ones have three
_STRIDE = 1_000_003  # prime: neighbours in rank look different, and no word comes twice


@dataclass(frozen=True, slots=True)
class Written:
    """An invented article."""

    number: int
    title: str
    lead: str
    text: str
    published: datetime

    @property
    def publisher(self) -> str:
        return f"titre-{self.number % PUBLISHERS}"

    @property
    def host(self) -> str:
        return f"www.{self.publisher}.example"

    @property
    def url(self) -> str:
        return f"https://{self.host}/articles/{self.number:09d}.html"

    @property
    def topics(self) -> tuple[str, ...]:
        """One article in twenty carries a topic."""
        return _topics(self.number)


def articles(first: int, count: int) -> Iterator[Written]:
    """The articles from number `first` on; a multiple of BATCH."""
    for start in range(first, first + count, BATCH):
        yield from _batch(start, min(BATCH, first + count - start))


@cache
def words() -> tuple[str, ...]:
    """All words, the commonest first."""
    common = [word for word, _ in _commonest()]
    return (*common, *(_word(rank) for rank in range(VOCABULARY - len(common))))


def _commonest() -> list[tuple[str, float]]:
    said = COMMONEST.split()
    return [(word, float(times) / 1e4) for word, times in zip(said[::2], said[1::2], strict=True)]


def _word(rank: int) -> str:
    """The word of this rank: a number in the base of the syllables."""
    size = 2 if rank < _TWO_SYLLABLES else 3
    code, said = rank * _STRIDE % len(_SYLLABLES) ** size, ""
    for _ in range(size):
        code, digit = divmod(code, len(_SYLLABLES))
        said += _SYLLABLES[digit]
    return said


@cache
def _shares() -> "NDArray[np.float64]":
    """The share of all words that are at most so rare, by rank; 1 in the end."""
    common = [share for _, share in _commonest()]
    ranks, times = np.log(np.array(RARER, dtype=float)).T
    tail = np.exp(np.interp(np.log(np.arange(len(common) + 1, VOCABULARY + 1)), ranks, times)) / 1e6
    summed = np.cumsum(np.concatenate([common, tail]))
    return np.asarray(summed / summed[-1])


def _topics(number: int) -> tuple[str, ...]:
    return (tuple(TOPICS)[number // 20 % len(TOPICS)],) if number % 20 == 0 else ()


def _batch(first: int, count: int) -> Iterator[Written]:
    draw = np.random.default_rng(first)
    lengths = draw.integers(*LENGTHS, size=BATCH) + TITLE + LEAD
    ends = np.cumsum(lengths)
    ranks = np.searchsorted(_shares(), draw.random(int(ends[-1])))
    known = words()
    drawn = [known[rank] for rank in ranks[: int(ends[count - 1])]]
    for number, (start, end) in enumerate(pairwise([0, *map(int, ends[:count])]), start=first):
        body = start + TITLE + LEAD
        yield Written(
            number,
            _sentence(drawn[start : start + TITLE], ""),
            _sentence(drawn[start + TITLE : body]),
            _text(_about(drawn[body:end], _topics(number))),
            NEWEST - timedelta(seconds=number * _STRIDE % (DAYS * 86_400)),
        )


def _about(drawn: list[str], topics: tuple[str, ...]) -> list[str]:
    for topic in topics:
        for place, said in enumerate(TOPICS[topic], start=1):
            drawn[place * SAID_EVERY] = said
    return drawn


def _text(drawn: list[str]) -> str:
    sentences = [_sentence(drawn[start : start + SENTENCE]) for start in range(0, len(drawn), SENTENCE)]
    paragraphs = (sentences[start : start + PARAGRAPH] for start in range(0, len(sentences), PARAGRAPH))
    return "\n".join(map(" ".join, paragraphs))


def _sentence(drawn: list[str], end: str = ".") -> str:
    return " ".join(drawn).capitalize() + end
