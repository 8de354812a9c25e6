"""Which words of an article a query asked for, and the best places to show.

Works on the original text through the spans of its tokens: engines store nothing for it, and all show the
same. Does not decide which articles match, and produces no markup: pieces are for the caller to escape.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from pipeline.query import And, Or, Query, Term, Words
from pipeline.search import Fragment, Piece
from pipeline.tokens import Token, Word, tokenize, words

WIDTH: Final = 200  # characters of a fragment: two to three lines of a terminal
FRAGMENTS: Final = 2
# Characters of a text that are looked at, 12 ms; of 2 565 articles 10 are longer.
READ: Final = 20_000
_LEADING: Final = 60  # characters of context before the first match
_ELLIPSIS: Final = "…"
_BREAK: Final = re.compile(r"[.!?…»]\s+(?=[^\W_a-z])|\n")  # where a reader would start


class Span(NamedTuple):
    """A stretch of a text that the query asked for, by `word`."""

    start: int
    end: int
    word: str


class _Window(NamedTuple):
    """A fragment that could be shown: how many different words and how many words it holds decide."""

    words: int
    hits: int
    source: int  # the earlier text and place wins among equals
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Highlighter:
    """What a query asks for in one field: single words by stem, by exact form, by beginning, and phrases."""

    stems: frozenset[str]
    exacts: frozenset[str]
    beginnings: tuple[str, ...]
    phrases: tuple[Words, ...]

    def __bool__(self) -> bool:
        return bool(self.stems or self.exacts or self.beginnings or self.phrases)

    def spans(self, text: str) -> list[Span]:
        """The words of `text` that the query asked for, in order; those of a phrase where it stands whole."""
        return [span for start, part in self._parts(text) for span in self._marked(start, part)]

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        """Where marks can be: the whole text for phrases, else the lines with a word that is asked for.

        Most lines have none, and words without their places cost a third.
        """
        if self.phrases:
            yield 0, text
            return
        start = 0
        for line in text.split("\n"):
            if any(map(self._wants, set(words(line)))):
                yield start, line
            start += len(line) + 1

    def _marked(self, start: int, part: str) -> list[Span]:
        tokens = tokenize(part)
        marked = {i: token.stem for i, token in enumerate(tokens) if self._wants(token)}
        for phrase in self.phrases:
            marked |= _occurrences(phrase, tokens)
        return [
            Span(start + tokens[i].start, start + tokens[i].end, word) for i, word in sorted(marked.items())
        ]

    def _wants(self, token: Token | Word) -> bool:
        return (
            (token.stem in self.stems and not token.stop)
            or token.exact in self.exacts
            or token.exact.startswith(self.beginnings)
        )


@dataclass(frozen=True, slots=True)
class Marker:
    """Marks what one query asks for, article by article."""

    in_title: Highlighter
    in_lead: Highlighter
    in_text: Highlighter

    @classmethod
    def of(cls, query: Query) -> Self:
        return cls(highlighter(query, "title"), highlighter(query, "lead"), highlighter(query, "text"))

    def __bool__(self) -> bool:
        """Whether the query has words at all, to which articles can be more or less relevant."""
        return bool(self.in_title) or bool(self.in_lead) or bool(self.in_text)

    def title(self, title: str) -> Fragment:
        """The whole title."""
        return mark(title, self.in_title.spans(title) if self.in_title else ())

    def best(self, lead: str, text: str) -> tuple[Fragment, ...]:
        """The best places of lead and text; a lead that the text repeats is not shown twice."""
        sources = [(text, self.in_text)] if self.in_text else []
        if self.in_lead and not (sources and lead in text[:READ]):
            sources.insert(0, (lead, self.in_lead))
        return fragments(sources)


def highlighter(query: Query, field: str) -> Highlighter:
    """What `query` asks for in `field`. What it excludes is not marked."""
    wanted = [words for words in _asked(query) if words.field in ("", field)]
    single = [words for words in wanted if len(words.terms) == 1]
    return Highlighter(
        frozenset(words.terms[0].stem for words in single if not words.exact),
        frozenset(words.terms[0].exact for words in single if words.exact and not words.prefix),
        tuple(words.terms[0].exact for words in single if words.prefix),
        tuple(words for words in wanted if len(words.terms) > 1),
    )


def mark(text: str, spans: Sequence[Span], begin: int = 0, end: int | None = None) -> Fragment:
    """`text[begin:end]`, cut where matches start and end."""
    end = len(text) if end is None else end
    pieces, at = [], begin
    for span in spans:
        start, stop = max(span.start, at), min(span.end, end)
        if start < stop:
            pieces += [Piece(text[at:start], match=False), Piece(text[start:stop], match=True)]
            at = stop
    return tuple(piece for piece in (*pieces, Piece(text[at:end], match=False)) if piece.text)


def fragments(sources: Sequence[tuple[str, Highlighter]]) -> tuple[Fragment, ...]:
    """The best places of the texts, in order: FRAGMENTS of WIDTH characters at most, with `…` where cut."""
    texts = [text[:READ] for text, _ in sources]
    spans = [wanted.spans(text) for text, (_, wanted) in zip(texts, sources, strict=True)]
    windows = [window for i, text in enumerate(texts) for window in _windows(i, text, spans[i])]
    chosen: list[_Window] = []
    for window in sorted(windows, key=lambda w: (-w.words, -w.hits, w.source, w.begin)):
        apart = all(
            w.source != window.source or w.end <= window.begin or window.end <= w.begin for w in chosen
        )
        if apart and len(chosen) < FRAGMENTS:
            chosen.append(window)
    chosen.sort(key=lambda w: (w.source, w.begin))
    return tuple(_cut(texts[w.source], spans[w.source], w.begin, w.end) for w in chosen)


def _asked(query: Query) -> Iterator[Words]:
    if isinstance(query, Words):
        yield query
    elif isinstance(query, And | Or):
        for part in query.parts:
            yield from _asked(part)


def _occurrences(phrase: Words, tokens: Sequence[Token]) -> dict[int, str]:
    """The tokens where all terms of the phrase stand in their order, give or take its slop."""
    last = phrase.terms[-1]
    found: dict[int, str] = {}
    for first in _places(phrase, phrase.terms[0], tokens, range(len(tokens))):
        places = [first]
        for term in phrase.terms[1:]:
            expected = first + term.offset
            near = range(max(0, expected - phrase.slop), min(len(tokens), expected + phrase.slop + 1))
            places += list(_places(phrase, term, tokens, near, prefix=phrase.prefix and term is last))[:1]
        if len(places) == len(phrase.terms):
            found |= {place: tokens[place].stem for place in places}
    return found


def _places(
    phrase: Words, term: Term, tokens: Sequence[Token], where: range, *, prefix: bool = False
) -> Iterator[int]:
    for i in where:
        token = tokens[i]
        if prefix:
            hit = token.exact.startswith(term.exact)
        elif phrase.exact:
            hit = token.exact == term.exact
        else:
            hit = token.stem == term.stem and not token.stop
        if hit:
            yield i


def _windows(source: int, text: str, spans: Sequence[Span]) -> Iterator[_Window]:
    """One window for each match, starting a little before it where a sentence or at least a word starts."""
    for i, span in enumerate(spans):
        begin = _begin(text, span.start)
        end = _end(text, span.end, begin + WIDTH - 2 * len(_ELLIPSIS))
        inside = [other.word for other in _until(end, spans[i : i + WIDTH])]
        yield _Window(len(set(inside)), len(inside), source, begin, end)


def _until(end: int, spans: Sequence[Span]) -> Iterator[Span]:
    for span in spans:
        if span.end > end:
            return
        yield span


def _begin(text: str, start: int) -> int:
    least = max(0, start - _LEADING)
    breaks = [found.end() for found in _BREAK.finditer(text, least, start + 1)]
    if breaks or least == 0:
        return breaks[-1] if breaks else 0
    blank = text.find(" ", least, start)
    return blank + 1 if blank >= 0 else start


def _end(text: str, start: int, most: int) -> int:
    """Where the window that shows the match before `start` ends: with its line or between two words."""
    line = text.find("\n", start)
    line = len(text) if line < 0 else line
    if line <= most:
        return line
    blank = text.rfind(" ", start, most + 1)
    return blank if blank >= 0 else most


def _cut(text: str, spans: Sequence[Span], begin: int, end: int) -> Fragment:
    starts = begin == 0 or any(
        found.end() == begin for found in _BREAK.finditer(text, max(0, begin - 4), begin + 1)
    )
    before = () if starts else (Piece(_ELLIPSIS, match=False),)
    after = () if end == len(text) or text[end] == "\n" else (Piece(_ELLIPSIS, match=False),)
    return (*before, *mark(text, spans, begin, end), *after)
