"""Which texts are the same, and how much of one stands in another. *Pure.*

Says nothing about who copied whom, and does not remember any text: the store keeps the bands and the pairs.
All numbers are signed and 64 bits wide, as PostgreSQL's bigint, and the same on every machine and in every
process; a test pins them, because a change of any rule here makes stored bands worthless.
"""

import re
import struct
from collections.abc import Collection, Iterable
from functools import lru_cache
from hashlib import blake2b

from pipeline.memo import Memo
from pipeline.model import Comparison
from pipeline.tokens import fold, surfaces, tokenize, word

SHINGLE = 3  # words

# 3-word shingles in 24 bands of 2 rows bring up all of 150 real articles with a head or tail of their own,
# 99 % of 160 real rewritings, 95 % where every fifth word was changed, 79 % of cuts to a quarter and 73 % of
# 150 words inside 900, against 169 strangers in a million articles of one newspaper. 8 words in 24 bands of
# 1 row bring up nearly all cuts and insertions, but 90 % of the edits and ten times the strangers.
BANDS = 24
ROWS = 2
_SEED = 20220301

# Of the shorter text, how much has to stand in the other: 160 pairs of two texts of one page begin at .65
# (two were rewritten: .28 and .30), 300 pairs of different articles on like subjects end at .37.
COPIED = 0.4
# The longer text has to be an article, as blurbs of series, horoscopes and broadcasts recur with up to 81
# shingles; so many have to be shared, as closing lines and offers of subscription recur in articles.
ARTICLE_AT_LEAST = 100
SHARED_AT_LEAST = 30
# From here on two texts are the same but for details.
SAME = 0.8
# Shorter texts are the same only under one title: among 1 200 items of feeds the reports of a series share up
# to .5 of the shingles of their titles, the same report in two feeds of a publisher .94 and more.
ONE_TITLE = 0.8
SAME_UNDER_ONE_TITLE = 0.5

# The first is what nearly all words match, in half the time.
_WORD = re.compile(r"[a-z][a-z0-9]*+(?![^\W_])|\d+(?:[.,]\d+)*|[^\W_]+")
_NO_WORD = 0  # for what looks like a word and holds none
_MASK = (1 << 64) - 1
_SIGN = 1 << 63
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 1)  # odd, so that the order of the words counts


def digest(title: str, text: str) -> str:
    """A name for exactly these words, whatever their case, accents, ligatures, punctuation and spacing."""
    words = (" ".join(_WORD.findall(fold(part))) for part in (title, text))
    return blake2b("\n".join(words).encode(), digest_size=16).hexdigest()


def shingles(text: str) -> frozenset[int]:
    """The hashes of every three neighbouring stems; of a shorter text, one for the whole of it."""
    import numpy as np

    said = np.fromiter(map(_hashes.__getitem__, surfaces(text)), np.uint64)
    said = said[said != _NO_WORD]
    if 0 < len(said) < SHINGLE:
        said = np.append(said, np.zeros(SHINGLE - len(said), np.uint64))
    first, second, third = (
        said[n : len(said) - SHINGLE + 1 + n] * factor for n, factor in enumerate(_FACTORS)
    )
    return frozenset((first + second + third).view(np.int64).tolist())


def bands(shingles: frozenset[int]) -> tuple[int, ...]:
    """24 numbers; two texts have one in common the likelier, the more they share. No shingle has none."""
    if not shingles:
        return ()
    from rensa import RMinHash

    hashes = [value & _MASK for value in shingles]
    [row] = RMinHash.digest_matrix_from_token_hash_sets([hashes], BANDS * ROWS, _SEED).to_rows()
    return tuple(_signed(_together(row[start : start + ROWS])) for start in range(0, BANDS * ROWS, ROWS))


def packed(shingles: frozenset[int]) -> bytes:
    """Shingles to be stored, 8 bytes each; `unpacked` undoes it."""
    import numpy as np

    return np.sort(np.fromiter(shingles, "<i8", len(shingles))).tobytes()


def unpacked(stored: bytes) -> tuple[int, ...]:
    """The shingles that were `packed`, in rising order."""
    return struct.unpack(f"<{len(stored) // 8}q", stored)


def verify(a: frozenset[int], b: Collection[int], *, one_title: bool = False) -> Comparison:
    """How two texts are related, by their shingles, none of which may be there twice.

    "same" is nearly all of both; "copy" is much of one in the other: cut, with a head or tail of its own, or
    inside a longer text. Texts too short to tell are "none", unless they stand under one title.
    """
    shared = len(a.intersection(b))
    if not shared:
        return Comparison("none", 0.0, 0.0, 0.0)
    jaccard, in_b, in_a = shared / (len(a) + len(b) - shared), shared / len(a), shared / len(b)
    if one_title and jaccard >= SAME_UNDER_ONE_TITLE:
        relation = "same"
    elif max(len(a), len(b)) < ARTICLE_AT_LEAST or shared < SHARED_AT_LEAST:
        relation = "none"
    elif jaccard >= SAME:
        relation = "same"
    else:
        relation = "copy" if max(in_b, in_a) >= COPIED else "none"
    return Comparison(relation, jaccard, in_b, in_a)


def compare(a_title: str, a_text: str, b_title: str, b_text: str) -> Comparison:
    """How two articles are related, by their titles and texts."""
    return verify(shingles(a_text), shingles(b_text), one_title=one_title(a_title, b_title))


def one_title(a: str, b: str) -> bool:
    """Whether two titles are one: « DIRECT. » may stand before it, but « (1/2) » is not « (2/2) »."""
    (numbers_a, of_a), (numbers_b, of_b) = _title(a), _title(b)
    if numbers_a != numbers_b:
        return False
    return of_a == of_b or len(of_a & of_b) >= ONE_TITLE * min(len(of_a), len(of_b)) > 0


@lru_cache(maxsize=1 << 14)  # a series brings the same titles up for each of its articles
def _title(title: str) -> tuple[list[str], frozenset[int]]:
    return sorted(token.exact for token in tokenize(title) if token.exact[0].isdigit()), shingles(title)


def _hash(surface: str) -> int:
    said = word(surface)
    return int.from_bytes(blake2b(said.stem.encode(), digest_size=8).digest()) if said else _NO_WORD


_hashes = Memo(_hash)


def _signed(value: int) -> int:
    return ((value + _SIGN) & _MASK) - _SIGN


def _together(rows: Iterable[int]) -> int:
    together = 0
    for row in rows:
        together = together << 32 | row
    return together
