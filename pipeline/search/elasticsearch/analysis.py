"""What a word of French is, said in Elasticsearch's terms: the analysis settings of the index template.

Made from `pipeline.tokens`, so that what people type into Kibana is read as Veille reads it, and both engines
find the same. Does not talk to a server. `python -m pipeline.search.elasticsearch.analysis` writes what it
makes into the template in `config/elasticsearch`, where the server's administrator can read it.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from pipeline.tokens import (
    APOSTROPHES,
    ELISIONS,
    ELISIONS_BEFORE_VOWEL,
    IRREGULAR,
    MAX_WORD,
    SPACES,
    STEM_RULES,
    STOP_WORDS,
    VOWELS,
    fold,
)

GAP: Final = "∅"  # in a query: a word that is left out, but whose place counts
_KEPT: Final = "="  # ends a word that no rule of stemming may touch: one of two letters, or with digits

_LETTER = r"\p{L}\p{Nl}\p{No}"  # what Python calls a letter, inside a class
_MARK = r"\u00ad\u0300-\u036f"  # the soft hyphen and combining accents
_CHAR = rf"{_LETTER}\p{{Nd}}{_MARK}"
# Java's regular expressions call themselves once a round of a group: a text of nothing but « l'l'l'l' » must
# not bring a server down.
_ROUNDS = 20
# Greek, Cyrillic and raised letters, µ: of these the server folds none, as in Зеленський or 22ᵉ.
_LETTERS_APART = ((0xB5, 0xB6), (0x2B0, 0x2B9), (0x370, 0x400), (0x400, 0x530), (0x1D2C, 0x1D6B))


def settings() -> dict[str, Any]:
    """The analysers `fr` (stems) and `fr_exact` (forms), `terms` for words that are analysed already, and the
    normaliser `folded`.
    """
    exact = ["cut", "lowercase", "bare", "asciifolding"]
    words = {"type": "custom", "char_filter": ["letters", "elisions"], "tokenizer": "words"}
    stems = [f"stem_{number:02}" for number in range(len(STEM_RULES))]
    return {
        "char_filter": {
            "letters": {"type": "mapping", "mappings": _letters()},
            "elisions": {"type": "pattern_replace", "pattern": _elisions(), "replacement": ""},
        },
        "tokenizer": {"words": {"type": "pattern", "pattern": _words(), "group": 0}},
        "filter": {
            "cut": {"type": "truncate", "length": MAX_WORD},
            "fr_stop": {"type": "stop", "stopwords": sorted(STOP_WORDS)},
            "bare": {"type": "pattern_replace", "pattern": _bare(), "replacement": ""},
            "fr_keep": _replacing(r"^(?!\p{L}{3,}+$).+", rf"\0{_KEPT}"),
            "fr_irregular": {"type": "stemmer_override", "rules": _irregular()},
            **{name: _replacing(*rule) for name, rule in zip(stems, STEM_RULES, strict=True)},
            "fr_kept": _replacing(rf"{_KEPT}$", ""),
            "gaps": {"type": "stop", "stopwords": [GAP]},
        },
        "analyzer": {
            "fr": {
                **words,
                "filter": [
                    *("cut", "lowercase", "fr_stop", "bare", "asciifolding"),
                    *("fr_keep", "fr_irregular", *stems, "fr_kept"),
                ],
            },
            "fr_exact": {**words, "filter": exact},
            "terms": {"type": "custom", "tokenizer": "whitespace", "filter": ["gaps"]},
        },
        "normalizer": {
            "folded": {
                "type": "custom",
                "char_filter": ["letters"],
                "filter": ["lowercase", "bare", "asciifolding"],
            }
        },
    }


def _letters() -> list[str]:
    """Accented letters that `asciifolding` leaves as they are."""
    letters = [chr(code) for first, end in _LETTERS_APART for code in range(first, end)]
    pairs = [(letter, fold(letter)) for letter in letters if letter.isalpha()]
    return [f"{letter} => {folded}" for letter, folded in pairs if folded not in (letter, letter.lower())]


def _elisions() -> str:
    """Articles and the like before an apostrophe, where a word begins; see `tokens`."""
    letters = map(chr, range(0xC0, 0x250))
    accented = "".join(letter for letter in letters if letter.isalpha() and fold(letter)[0] in VOWELS)
    plain = "".join(sorted(VOWELS))
    consonant = rf"[\p{{L}}&&[^{plain}{plain.upper()}{accented}]]"
    always = rf"(?:{'|'.join(map(_any_case, sorted(ELISIONS)))})[{APOSTROPHES}]"
    sometimes = rf"[{''.join(f'{one}{one.upper()}' for one in sorted(ELISIONS_BEFORE_VOWEL))}][{APOSTROPHES}]"
    # First what is rare and quickly seen: this is tried at every character of a text.
    start = rf"(?={sometimes}|{always})(?<![{_CHAR}])(?<![{_CHAR}][{APOSTROPHES}])"
    return rf"{start}(?:{always}|{sometimes}(?!{consonant})){{1,{_ROUNDS}}}"


def _any_case(word: str) -> str:
    """Not by a flag, which costs twice the time."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


def _words() -> str:
    """The alternatives of `tokens` in their order: U.E., 10 000, 49.3, and all other words."""
    rounds = f"{{1,{_ROUNDS}}}"
    return "|".join(
        [
            rf"(?=.\.)(?<![{_LETTER}\p{{Nd}}.])(?:[{_LETTER}]\.){rounds}[{_LETTER}](?![{_LETTER}\p{{Nd}}])",
            rf"\p{{Nd}}{{1,3}}(?:[{SPACES}]\p{{Nd}}{{3}}){rounds}(?!\p{{Nd}})",
            rf"\p{{Nd}}++(?:[.,]\p{{Nd}}++){rounds}[{_CHAR}]*",
            rf"(?<![{_MARK}])[{_MARK}]*+[{_LETTER}\p{{Nd}}][{_CHAR}]*(?:[{APOSTROPHES}][{_CHAR}]+){{0,{_ROUNDS}}}",
        ]
    )


def _bare() -> str:
    """Apostrophes, marks, what groups digits, and the full stops of abbreviations."""
    return rf"[{APOSTROPHES}{_MARK}{SPACES}]|\.(?:(?<=\p{{L}}\.)|(?<!^0\.)(?=\p{{Nd}}{{3}}(?:\.|$)))"


def _irregular() -> list[str]:
    """Every form, its plural in -s too, and the form from which the rules go on."""
    forms = {f"{form}s": base for form, base in IRREGULAR.items()} | IRREGULAR
    return [f"{form} => {base}" for form, base in sorted(forms.items())]


def _replacing(pattern: str, replacement: str) -> dict[str, Any]:
    """A pattern of Python with its replacement as Java writes it."""
    return {
        "type": "pattern_replace",
        "pattern": pattern,
        "replacement": re.sub(r"\\(\d)", r"$\1", replacement),
    }


def written(template: Path) -> str:
    """The template with the analysis as it is made here."""
    body = json.loads(template.read_text(encoding="utf-8"))
    body["template"]["settings"]["analysis"] = settings()
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    from pipeline.search.elasticsearch.generations import TEMPLATE

    TEMPLATE.write_text(written(TEMPLATE), encoding="utf-8")
