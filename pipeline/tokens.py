"""French text into words, stems and sentences: the one place where that is decided. *Pure.*

Topics, fingerprints and the embedded index read text through `tokenize`, or through `words` or `surfaces`
where places do not matter, so they agree on what a word is.
Does not guess the language, correct spelling, or look words up in a dictionary.

Text is expected in Unicode NFC; a combining accent that stands apart stays in its word all the same.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from pipeline.memo import Memo

# Compared in lower case with their accents, so « été », « maïs » and « dû » are words while « mais » and «
# du » are not. Left out on purpose: « est » (Grand Est), « pas » (Pas-de-Calais), « sans » (sans-papiers),
# « sous » (sous-marin), « or », « plus », « car », and single letters (vitamine D).
STOP_WORDS = frozenset([
    "a", "au", "aux", "avec", "ce", "ces", "cet", "cette", "dans", "de", "des", "du", "elle", "elles",
    "en", "et", "eux", "il", "ils", "je", "la", "le", "les", "leur", "leurs", "lui", "ma", "mais", "me",
    "mes", "mon", "ne", "nos", "notre", "nous", "on", "ou", "où", "par", "pour", "que", "qui", "sa", "se",
    "ses", "son", "sur", "ta", "te", "tes", "ton", "tu", "un", "une", "vos", "votre", "vous", "y", "à",
])  # fmt: skip

# What stands before an apostrophe and belongs to the word after it. It leaves no token and no position, so
# that « ministère de l'Intérieur » is a phrase of three words and « chef d'État » one of two.
ELISIONS = frozenset(["c", "d", "j", "l", "ç", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu"])
# These elide before a vowel or h only; before a consonant they begin a name: N'Djamena, M'Bappé, T'Pau.
ELISIONS_BEFORE_VOWEL = frozenset(["m", "n", "s", "t", "y"])
VOWELS = frozenset("aeiouyh")

# No French word is longer; a "word" of a megabyte must become neither a term of an index nor a key of a memo.
MAX_WORD = 64
_SHORTEST_STEMMED = 3

# Forms that no suffix rule reaches, folded, to the form from which the rules go on; plurals in -s are
# understood.
IRREGULAR = {
    "yeux": "oeil", "cieux": "ciel", "travaux": "travail", "vitraux": "vitrail", "coraux": "corail",
    "baux": "bail", "ideaux": "ideal", "messieurs": "monsieur", "mesdames": "madame", "bel": "beau",
    "belle": "beau", "nouvel": "nouveau", "nouvelle": "nouveau", "vieil": "vieux", "vieille": "vieux",
    "folle": "fou", "molle": "mou", "grosse": "gros", "basse": "bas", "epaisse": "epais", "fausse": "faux",
    "douce": "doux", "rousse": "roux", "jalouse": "jaloux", "seche": "sec", "fraiche": "frais",
    "blanche": "blanc", "franche": "franc", "longue": "long", "grecque": "grec", "turque": "turc",
    "breve": "bref", "vive": "vif", "autrice": "auteur",
}  # fmt: skip

# Words that would fall on another one (pays/paye, fils/fil, maïs/mai), and pairs that the news must tell
# apart: France and the franc, the Right (droite) and the law (droit), a party and a part, a door and a
# port, a sale and the wind.
_KEEPS_S = ("pays", "fois", "mois", "fils", "vers", "sous", "plus", "tous", "ours", "gens", "mais", "paris")
_KEEPS_E = ("france", "droite", "partie", "porte", "vente")


def _except(words: tuple[str, ...]) -> str:
    return "".join(f"(?<!^{word})" for word in words)


# Suffixes of the folded word, each applied once, in order: plural, feminine and the commonest verb endings.
# They work on folded words because headlines in capitals and hurried queries leave the accents out. On the
# word lists of tests/data/french_forms.txt they join 99 % of the forms of one word and 11 % of different
# words, most of those a noun and its own verb; Snowball French joins 74 % and 20 % (6 % of forms change
# with their accents), Savoy's light stemmer 83 % and 15 %. Plain patterns, so that another engine's
# analyser can be built from them; the suffix stands first and what must precede it second, so that a word
# that ends in another way is left at once.
STEM_RULES: tuple[tuple[str, str], ...] = (
    (r"aux$(?<=[ey]aux)", "au"),  # niveaux, noyaux
    (r"aux$(?<=..aux)", "al"),  # journaux
    (r"x$(?<=[eo]ux)", ""),  # jeux, bijoux, heureux
    (rf"s$(?<=..[^s]s){_except(_KEEPS_S)}", ""),
    (r"trice$(?<=..trice)", "teu"),  # agricultrice
    (r"r$(?<=..eur)|se$(?<=..euse)", ""),  # chanteur, chanteuse, heureuse
    (r"re$(?<=...eure)", ""),  # défenseure
    (r"se$(?<=...[ao]ise)", ""),  # française: français has lost its s by now
    (r"ee$(?:(?<=.uee)|(?<=.{4}ee))", "e"),  # tuée, employée
    (r"e$(?<=^..ue)", ""),  # élue
    (rf"e$(?<=.{{4}}e){_except(_KEEPS_E)}", ""),  # grande, première
    (r"r$(?<=..er)", ""),  # voter, premier
    (r"r$(?<=...[^o]ir)", ""),  # garantir
    (r"ent$(?<=.{4}[^m]ent)", ""),  # annoncent
    (rf"e$(?<=.{{4}}e){_except(_KEEPS_E)}", ""),  # what -er and -ée have left
    (r"iqu$", "ic"),  # publique
    (r"v$(?:(?<=.iv)|(?<=.euv))", "f"),  # active, neuve
    (r"([bcdfglmnprstyz])\1$", r"\1"),  # européenne, naturelle
)
# How a word ends that the rule of the same place could change: a twentieth of the price of its pattern.
_ENDINGS: tuple[tuple[str, ...], ...] = (
    ("eaux", "yaux"), ("aux",), ("eux", "oux"), ("s",), ("trice",), ("eur", "euse"), ("eure",),
    ("aise", "oise"), ("ee",), ("ue",), ("e",), ("er",), ("ir",), ("ent",), ("e",), ("iqu",), ("iv", "euv"),
    tuple(letter * 2 for letter in "bcdfglmnprstyz"),
)  # fmt: skip


def _filled(replacement: str) -> str | Callable[[re.Match[str]], str]:
    """What stands for a match: letters, or its group, which `re` takes four times as long to fill in."""
    if replacement == r"\1":
        return lambda match: match[1]
    return replacement


_STEM_RULES = tuple(
    (endings, re.compile(pattern).sub, _filled(replacement))
    for endings, (pattern, replacement) in zip(_ENDINGS, STEM_RULES, strict=True)
)

APOSTROPHES = "'’‘ʼ′´`＇‛ʻ"
_LETTERS = "\\w\u00ad\u0300-\u036f"  # the soft hyphen and combining accents belong to their word
SPACES = " \u00a0\u2009\u202f"
_WORD = re.compile(
    rf"""
      [^\W\d_]{{2}} [{_LETTERS}]* (?:[{APOSTROPHES}][{_LETTERS}]+)* [{APOSTROPHES}]?  # nearly all words
    | (?<![\w.]) (?:[^\W\d_]\.)+ [^\W\d_] (?!\w) \.?                                   # U.E., O.T.A.N
    | (?<!\w) [cdjlmnstCDJLMNST] [{APOSTROPHES}] (?=(?:[^\W\d_]\.)+ [^\W\d_] (?!\w))      # before U.E.
    | \d{{1,3}} (?:[{SPACES}]\d{{3}})+ (?!\d)                                          # 10 000
    | \d++ (?:[.,]\d++)+ [{_LETTERS}]*                                                  # 49.3  1,5
    | [{_LETTERS}]+ (?:[{APOSTROPHES}][{_LETTERS}]+)* [{APOSTROPHES}]?
    """,
    re.VERBOSE,
)
_APOSTROPHE = re.compile(rf"[{APOSTROPHES}]")
# 10 000 and 10.000 are 10000; 49.3 stays
_GROUPING = re.compile(rf"[{SPACES}]|(?<!^0)\.(?=\d{{3}}(?:\.|$))")
_JOINED = re.compile(r"\d_\d")
_FOLDED = {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "\u00ad": ""}

_ACCENTS = re.compile("[\u0300-\u034e\u0350-\u036f]+")
# Where other combining characters may be; Latin, Greek, the signs of typography and of money are outside.
_BEYOND_ACCENTS = re.compile("[\u0483-\u1fff\u20d0-\U0010ffff]")

_SENTENCE_END = re.compile(rf"(?<![.!?…])[.!?…]+(?:[{SPACES}]?[»”\"’)\]])*(?=\s|\Z)|\n")
_SENTENCE_START = re.compile(rf"[{SPACES}]*[«“\"(\[—–-]*[{SPACES}]*(.)?", re.DOTALL)
_LAST_WORD = re.compile(r"[^\W\d_]*\Z")
_ABBREVIATIONS = frozenset([
    "art", "av", "bd", "cdt", "cf", "chap", "dr", "drs", "déc", "env", "ex", "fig", "févr", "gal", "hab",
    "janv", "lt", "m", "me", "mgr", "mlle", "mlles", "mm", "mme", "mmes", "no", "nov", "oct", "p", "pp",
    "pr", "réf", "sept", "st", "ste", "tél", "vol", "éd",
])  # fmt: skip


class Word(NamedTuple):
    """One word of a text, wherever it stands: each is made once and shared."""

    exact: str  # lower case, accents and ligatures folded, without apostrophe
    stem: str  # `exact` without its plural, feminine or commonest verb ending
    stop: bool


class Token(NamedTuple):
    """One word of a text. A tuple rather than a dataclass: a fifth of the price, and 500 are built a page."""

    surface: str  # as it stands in the text
    exact: str  # lower case, accents and ligatures folded, without apostrophe
    stem: str  # `exact` without its plural, feminine or commonest verb ending
    start: int  # character offsets into the text as given
    end: int
    stop: bool = False


def tokenize(text: str) -> list[Token]:
    """The words of a text in order, stop words included and marked; linear in the length of the text.

    Hyphens, dashes and quotes separate, an elided article leaves nothing, « 49.3 » and « 10 000 » are words.
    """
    tokens = []
    for match in _WORD.finditer(text.replace("_", " ")):
        start, end = match.span()
        surface = text[start:end]
        word = _placed[surface]
        if word is not None:
            begin, length, (exact, stemmed, stop) = word
            start += begin
            end = start + length
            tokens.append(_new(Token, (text[start:end], exact, stemmed, start, end, stop)))
    return tokens


def words(text: str) -> list[Word]:
    """The words of `tokenize` without their places, for a third of the price: no token has to be made."""
    return list(filter(None, map(_said.__getitem__, surfaces(text))))


def surfaces(text: str) -> list[str]:
    """What `words` makes words of, in order: with elided articles, some of it of no word."""
    spaced = text.replace("_", " ")
    if "_" in text and _JOINED.search(text):  # the one place where the blank would change a word
        return [text[slice(*match.span())] for match in _WORD.finditer(spaced)]
    return _WORD.findall(spaced)


def word(surface: str) -> Word | None:
    """The word that one of `surfaces` holds, if it does."""
    return _said[surface]


def fold(word: str) -> str:
    """A word in lower case without accents, ligatures and apostrophes: « L’Œuvre » gives « loeuvre »."""
    if word.isascii():
        return word.lower().replace("'", "").replace("`", "")
    lowered = unicodedata.normalize("NFKD", _APOSTROPHE.sub("", word)).lower()
    for letter, folded in _FOLDED.items():  # of a whole text, a tenth of the price of `translate`
        lowered = lowered.replace(letter, folded)
    return _BEYOND_ACCENTS.sub(_without_mark, _ACCENTS.sub("", lowered))


def _without_mark(found: re.Match[str]) -> str:
    return "" if unicodedata.combining(found[0]) else found[0]


def stem(word: str) -> str:
    """What the inflected forms of a word share, folded; accents and ligatures in it change nothing."""
    return _stems[fold(word[:MAX_WORD])]


def _stem(folded: str) -> str:
    if len(folded) < _SHORTEST_STEMMED or not folded.isalpha():
        return folded
    stemmed = IRREGULAR.get(folded) or IRREGULAR.get(folded.removesuffix("s"), folded)
    for endings, replace, filled in _STEM_RULES:
        if stemmed.endswith(endings):
            stemmed = replace(filled, stemmed)
    return stemmed


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends, without the white space around it; a new line ends one.

    A full stop after « M. », « art. » or an initial ends none, nor does one before a lower-case letter.
    """
    found, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if _ends_sentence(text, match):
            found.append(_stripped(text, start, match.end()))
            start = match.end()
    found.append(_stripped(text, start, len(text)))
    return [(begin, end) for begin, end in found if begin < end]


def _analysed(surface: str) -> tuple[int, int, Word] | None:
    """Of a match of _WORD: offset and length of its word, and that word; None where it holds none."""
    begin, end = _without_elision(surface) if _APOSTROPHE.search(surface) else (0, len(surface))
    word = surface[begin : min(end, begin + MAX_WORD)]
    exact = fold(word)
    if not exact.isalnum():
        exact = _GROUPING.sub("", exact) if exact[:1].isdigit() else "".join(filter(str.isalnum, exact))
    return (begin, end - begin, Word(exact, _stems[exact], word.lower() in STOP_WORDS)) if exact else None


def _unplaced(surface: str) -> Word | None:
    analysed = _placed[surface]
    return analysed[2] if analysed else None


_stems, _placed, _said = Memo(_stem), Memo(_analysed), Memo(_unplaced)
_new = tuple.__new__  # what the constructor of a named tuple calls, at half the price


def _without_elision(surface: str) -> tuple[int, int]:
    """Where the word in `surface` begins and ends once elided articles and a closing quote are taken off."""
    begin = 0
    for match in _APOSTROPHE.finditer(surface):
        if not _is_elision(surface[begin : match.start()].lower(), surface[match.end() : match.end() + 1]):
            break
        begin = match.end()
    end = len(surface) - (surface[-1] in APOSTROPHES)
    return begin, max(begin, end)


def _is_elision(before: str, following: str) -> bool:
    if before in ELISIONS_BEFORE_VOWEL:
        return not following.isalpha() or fold(following)[:1] in VOWELS
    return before in ELISIONS


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark == "\n":
        return True
    following = _SENTENCE_START.match(text, match.end())
    if following and (following[1] or " ").islower():
        return False
    if mark != ".":
        return True
    before = _LAST_WORD.search(text, max(0, match.start() - 6), match.start())
    word = before[0] if before else ""
    return word.lower() not in _ABBREVIATIONS and not (len(word) == 1 and word.isupper())


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    sentence = text[start:end]
    return end - len(sentence.lstrip()), start + len(sentence.rstrip())
