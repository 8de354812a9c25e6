"""How well a text was found: the measure of article-extraction-benchmark, multisets of word 4-grams.

Does not extract.
"""

import html
import re
import unicodedata
from collections import Counter

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def cleaned(text: str) -> str:
    """A text without markup, entities and invisible characters, which some golds hold."""
    text = re.sub(r"</?[a-zA-Z][^<>]*>", " ", html.unescape(html.unescape(text)))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def f1(gold: str, found: str) -> float:
    """The harmonic mean of the precision and the recall of word 4-grams."""
    wanted, given = _grams(gold), _grams(found)
    return 2 * (wanted & given).total() / (wanted.total() + given.total())


def _grams(text: str, size: int = 4) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", cleaned(text))
    return Counter(tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))
