"""Topics by rules that explain themselves: which an article carries, and what in it says so. *Pure.*

A rule is a YAML file of words and phrases; `load` reads a folder of them, all that here touches a disk.
Does not learn, does not guess a language, and knows no regular expressions.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pipeline.errors import ConfigError, NotFound
from pipeline.model import Hit, Tag
from pipeline.tokens import Token, sentences, tokenize

Scope = Literal["sentence", "paragraph", "article"]

PREFIX_AT_LEAST = 4  # letters before a *: « mal* » would be Mali, malin and malade
QUOTED_AT_MOST = 400  # characters of a sentence that a hit quotes
_UNKNOWN = "und"  # said of summaries too short to judge: every rule may try them

# Pydantic reads this name of a dataclass: fields that nobody knows are errors, not comments.
_CLOSED: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Group:
    """Terms of which the article has to hold one."""

    terms: tuple[str, ...]
    name: str = ""
    exact: bool = False  # only as it is written here: case, accents, ending
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Evidence:
    """Terms, or terms near each other in a sentence, that speak for the topic, or with a minus against it.

    A narrower scope counts them only where every group of `all` is met too: in the same sentence or
    paragraph, or in the title. `within` is how many words the last may come after the first.
    """

    terms: tuple[str, ...] = ()
    near: tuple[tuple[str, ...], ...] = ()
    name: str = ""
    weight: float = 1.0
    within: int = 8
    ordered: bool = False
    scope: Scope = "article"
    exact: bool = False
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Veto:
    """Terms that silence the evidence in their sentence or paragraph, or forbid the topic altogether."""

    terms: tuple[str, ...]
    name: str = ""
    scope: Scope = "article"
    exact: bool = False
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Boost:
    """What evidence counts for by its place."""

    title: float = 3.0
    lead: float = 1.5
    body: float = 1.0
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts that must and must not carry the topic; the first of several lines is the title."""

    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()
    __pydantic_config__: ClassVar = _CLOSED


@dataclass(frozen=True, slots=True)
class Rule:
    """When an article carries a topic.

    It does iff every group of `all` is met, no veto forbids it, at least `min_distinct` different pieces of
    evidence are there, and the points reach `threshold`. A piece of evidence counts its weight times the
    boost of its place, at most `cap_per_term` times; a word counts for one piece only, the heaviest.

    A term is a word or phrase. Plural, feminine, accents, hyphens, elided articles and stop words do not
    matter; « * » ends a word of at least four letters in any way; a word with a capital stands for words
    with one, as they are but for accents: OTAN is OTAN and Otan, Mali is not mali.
    """

    id: str
    version: int
    label: Mapping[str, str]
    any: tuple[Evidence, ...]
    threshold: float
    all: tuple[Group, ...] = ()
    none: tuple[Veto, ...] = ()
    iptc: tuple[str, ...] = ()
    wikidata: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("fr",)
    boost: Boost = Boost()
    cap_per_term: int = 3
    min_distinct: int = 1
    examples: Examples = field(default=Examples(), repr=False)
    __pydantic_config__: ClassVar = _CLOSED

    def check_examples(self) -> None:
        """Raises ConfigError if an example does not come out as the rule says."""
        if problems := [f"{'.'.join(map(str, path))}: {text}" for path, text in _mistaken(self)]:
            raise ConfigError(f"topic {self.id}: " + "\n".join(problems), hint="correct the rule")


def compile_rules(rules: Iterable[Rule]) -> "Tagger":
    """The rules made ready for texts; worth keeping."""
    return Tagger(tuple(rules))


class Tagger:
    """All rules at once: every text is read one time, in time linear in its length."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._index = _Index(_terms_of(rules))

    def tag(self, title: str, lead: str, text: str, *, language: str = "fr") -> tuple[Tag, ...]:
        """The article's topics, in the order of the rules. The points of a tag's hits add up to its score."""
        rules = [rule for rule in self._rules if language in rule.languages or language == _UNKNOWN]
        if not rules:
            return ()
        fields = {"title": _Field("title", title), "lead": _Field("lead", lead), "text": _Field("text", text)}
        found = self._index.find(fields.values())
        tags = (_judge(rule, found, fields) for rule in rules)
        return tuple(tag for tag in tags if tag)


# --- finding terms


class _Word(NamedTuple):
    kind: Literal["stem", "exact", "prefix", "surface"]
    value: str
    capital: bool  # only words with a capital

    def matches(self, token: Token) -> bool:
        if self.capital and not token.surface[0].isupper():
            return False
        if self.kind == "prefix":
            return token.exact.startswith(self.value)
        return bool(getattr(token, self.kind) == self.value)


class _Place(NamedTuple):
    """Where a term stands."""

    field: str
    start: int  # character offsets
    end: int
    words: tuple[int, ...]  # the numbers of its words in the field
    sentence: tuple[str, int]
    paragraph: tuple[str, int]


_Problem = tuple[Sequence[int | str], str]  # the path to a field, and what is wrong there
_Term = tuple[str, bool]  # as the rule writes it, and whether that is exact
_Found = Mapping[_Term, Sequence[_Place]]


class _Field:
    """A title, lead or text, with its words and where they stand."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.words = [(number, token) for number, token in enumerate(tokenize(text)) if not token.stop]

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        return sentences(self.text)

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [start for start, _ in self.sentences]

    @cached_property
    def _line_ends(self) -> list[int]:
        return [offset for offset, char in enumerate(self.text) if char == "\n"]

    def place(self, words: Sequence[tuple[int, Token]]) -> _Place | None:
        """The place of neighbouring words; None where a sentence ends between them."""
        start, last = words[0][1].start, words[-1][1]
        sentence = bisect_right(self._sentence_starts, start)
        if len(words) > 1 and bisect_right(self._sentence_starts, last.start) != sentence:
            return None
        return _Place(
            self.name,
            start,
            last.end,
            tuple(number for number, _ in words),
            (self.name, sentence),
            (self.name, bisect_right(self._line_ends, start)),
        )

    def quote(self, start: int, end: int) -> str:
        """The sentence around a place, or as much of it as is worth quoting."""
        first, last = self.sentences[bisect_right(self._sentence_starts, start) - 1]
        if last - first > QUOTED_AT_MOST:
            first = max(first, min(start, (start + end - QUOTED_AT_MOST) // 2))
            last = min(last, first + QUOTED_AT_MOST)
        return self.text[first:last]


class _Index:
    """Terms by their first word. A dictionary needs no automaton: a text is looked up word by word."""

    def __init__(self, terms: Iterable[_Term]) -> None:
        self._terms: dict[str, dict[str, list[tuple[_Term, tuple[_Word, ...]]]]] = {
            "stem": defaultdict(list), "exact": defaultdict(list), "prefix": defaultdict(list)
        }  # fmt: skip
        for term in terms:
            words = _parsed(*term)
            kind, key = words[0].kind, words[0].value
            if kind == "prefix":
                key = key[:PREFIX_AT_LEAST]
            elif kind == "surface":
                kind, key = "exact", tokenize(key)[0].exact
            self._terms[kind][key].append((term, words))

    def find(self, fields: Iterable[_Field]) -> dict[_Term, list[_Place]]:
        """Where each term stands, in the order of the fields."""
        found: dict[_Term, list[_Place]] = defaultdict(list)
        stems, exacts, prefixes = (self._terms[kind].get for kind in ("stem", "exact", "prefix"))
        for part in fields:
            for position, (_, token) in enumerate(part.words):
                exact = token.exact
                for terms in (stems(token.stem), exacts(exact), prefixes(exact[:PREFIX_AT_LEAST])):
                    for term, words in terms or ():
                        here = part.words[position : position + len(words)]
                        fits = len(here) == len(words) and all(
                            word.matches(token) for word, (_, token) in zip(words, here, strict=True)
                        )
                        if fits and (place := part.place(here)):
                            found[term].append(place)
        return found


def _parsed(term: str, exact: bool) -> tuple[_Word, ...]:
    """The words of a term, without stop words."""
    return tuple(_word(term, token, exact=exact) for token in tokenize(term) if not token.stop)


def _word(term: str, token: Token, *, exact: bool) -> _Word:
    if exact:
        return _Word("surface", token.surface, capital=False)
    capital = token.surface[0].isupper()
    if term[token.end : token.end + 1] == "*":
        return _Word("prefix", token.exact, capital)
    return _Word("exact" if capital else "stem", token.exact if capital else token.stem, capital)


def _terms_of(rules: Iterable[Rule]) -> set[_Term]:
    groups: Iterator[Group | Evidence | Veto] = chain.from_iterable(
        (*rule.all, *rule.any, *rule.none) for rule in rules
    )
    return {(term, group.exact) for group in groups for term in _written(group)}


def _written(group: Group | Evidence | Veto) -> tuple[str, ...]:
    return (*group.terms, *chain.from_iterable(group.near)) if isinstance(group, Evidence) else group.terms


# --- judging


class _Piece(NamedTuple):
    """Something that stands somewhere, and what it would count for."""

    group: str
    term: str
    place: _Place
    points: float = 0.0


def _judge(rule: Rule, found: _Found, fields: Mapping[str, _Field]) -> Tag | None:
    required = [_standing(group, found) for group in rule.all]
    forbidden = (_standing(veto, found) for veto in rule.none if veto.scope == "article")
    if not all(required) or any(forbidden):
        return None
    counted = _counted(rule, _evidence(rule, found, required))
    score = sum(piece.points for piece in counted)
    distinct = {(piece.group, piece.term) for piece in counted if piece.points > 0}
    if score < rule.threshold or len(distinct) < rule.min_distinct:
        return None
    pieces = [min(group, key=lambda piece: _order(piece.place)) for group in required] + counted
    hits = tuple(_hit(piece, fields[piece.place.field]) for piece in pieces)
    return Tag(rule.id, rule.version, score, score / (score + rule.threshold), hits)


def _standing(group: Group | Veto | Evidence, found: _Found) -> list[_Piece]:
    name = group.name or next(iter(_written(group)))
    return [_Piece(name, term, place) for term in group.terms for place in found.get((term, group.exact), ())]


def _evidence(rule: Rule, found: _Found, required: Sequence[Sequence[_Piece]]) -> Iterator[_Piece]:
    """All that speaks for the topic or against it, where it may."""
    vetoes = ((veto, _standing(veto, found)) for veto in rule.none if veto.scope != "article")
    barred = {getattr(piece.place, veto.scope) for veto, pieces in vetoes for piece in pieces}
    reach = [
        {unit for piece in group for unit in (piece.place.field, piece.place.paragraph, piece.place.sentence)}
        for group in required
    ]
    boosts = {"title": rule.boost.title, "lead": rule.boost.lead, "text": rule.boost.body}
    for evidence in rule.any:
        for piece in chain(_standing(evidence, found), _together(evidence, found)):
            place = piece.place
            unit = "title" if evidence.scope == "article" else getattr(place, evidence.scope)
            in_reach = evidence.scope == "article" or all(
                "title" in units or unit in units for units in reach
            )
            if in_reach and place.sentence not in barred and place.paragraph not in barred:
                yield piece._replace(points=evidence.weight * boosts[place.field])


def _together(evidence: Evidence, found: _Found) -> Iterator[_Piece]:
    """Where one term of each part of `near` stand together: from the left, none of them twice."""
    parts = sorted(
        (
            (_order(place), number, place)
            for number, terms in enumerate(evidence.near)
            for term in terms
            for place in found.get((term, evidence.exact), ())
        ),
        key=lambda found: found[:2],
    )
    term = " … ".join(terms[0] for terms in evidence.near)
    last: dict[int, _Place] = {}
    for _, number, place in parts:
        if evidence.ordered and number and not _before(last.get(number - 1), place):
            continue
        last[number] = place
        if len(last) == len(evidence.near) and (whole := _whole(evidence, last.values())):
            last.clear()
            yield _Piece(evidence.name or term, term, whole)


def _before(earlier: _Place | None, place: _Place) -> bool:
    return earlier is not None and earlier.sentence == place.sentence and earlier.words[-1] < place.words[0]


def _whole(evidence: Evidence, places: Iterable[_Place]) -> _Place | None:
    """The places as one, if they are of one sentence and near enough."""
    first, *_, last = ordered = sorted(places, key=_order)
    words = tuple(word for place in ordered for word in place.words)
    apart = last.words[-1] - first.words[0]
    if (
        apart > evidence.within
        or len(set(words)) < len(words)
        or any(p.sentence != first.sentence for p in ordered)
    ):
        return None
    return first._replace(end=max(place.end for place in ordered), words=words)


def _counted(rule: Rule, pieces: Iterable[_Piece]) -> list[_Piece]:
    """The pieces that count: no word for two of them, none more often than the cap, the heaviest first."""
    counted, claimed, times = [], set[tuple[str, int]](), Counter[tuple[str, str]]()
    for piece in sorted(pieces, key=lambda piece: (-abs(piece.points), _order(piece.place))):
        words = {(piece.place.field, word) for word in piece.place.words}
        if times[piece[:2]] < rule.cap_per_term and not words & claimed:
            times[piece[:2]] += 1
            claimed |= words
            counted.append(piece)
    return counted


def _order(place: _Place) -> tuple[int, int]:
    return ("title", "lead", "text").index(place.field), place.start


def _hit(piece: _Piece, part: _Field) -> Hit:
    place = piece.place
    quote = part.quote(place.start, place.end)
    return Hit(piece.group, piece.term, part.name, place.start, place.end, piece.points, quote)


# --- reading


def load(folder: Path, ids: Iterable[str] | None = None) -> tuple[Rule, ...]:
    """The rules of a folder's *.yaml, or those with the given ids, by id.

    Raises ConfigError naming file, line and field of all that is wrong, NotFound for an id that no file has.
    """
    wanted = None if ids is None else set(ids)
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if unknown := sorted((wanted or set()) - set(paths)):
        raise NotFound(f"no topic {', '.join(unknown)} in {folder}", hint="veille topics")
    return tuple(_read(path) for name, path in paths.items() if wanted is None or name in wanted)


def parse(text: str, name: str) -> Rule:
    """A rule from its YAML, its examples tried. Raises ConfigError naming `name`, line and field."""
    import yaml
    from pydantic import TypeAdapter, ValidationError

    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is None:
            raise ConfigError(f"{name}: empty; expected a rule", hint="see the topics that are shipped")
        rule: Rule = TypeAdapter(Rule).validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    except ValidationError as error:
        raise _error(name, tree, [(problem["loc"], problem["msg"]) for problem in error.errors()]) from error
    if problems := list(_wrong(rule)) or list(_mistaken(rule)):
        raise _error(name, tree, problems)
    return rule


def _read(path: Path) -> Rule:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    rule = parse(text, str(path))
    if rule.id != path.stem:
        raise ConfigError(f"{path}: id: found {rule.id!r}; expected {path.stem!r}, the name of the file")
    return rule


def _wrong(rule: Rule) -> Iterator[_Problem]:
    """What no type can tell."""
    if not rule.any:
        yield ("any",), "a rule needs evidence"
    for place in ("all", "any", "none"):
        for number, group in enumerate(getattr(rule, place)):
            for term in _written(group):
                if not _parsed(term, exact=group.exact):
                    yield (place, number), f"{term!r} holds no word that could be found"
                for word in _parsed(term, exact=group.exact):
                    if word.kind == "prefix" and len(word.value) < PREFIX_AT_LEAST:
                        yield (place, number), f"{term!r}: at least {PREFIX_AT_LEAST} letters before a *"


def _mistaken(rule: Rule) -> Iterator[_Problem]:
    """The examples that do not come out as the rule says."""
    tagger = Tagger((rule,))
    for kind, expected in (("match", True), ("no_match", False)):
        for number, example in enumerate(getattr(rule.examples, kind)):
            title, _, text = example.strip().partition("\n")
            if bool(tagger.tag(title, "", text, language=rule.languages[0])) is not expected:
                said = "does not carry the topic" if expected else "carries the topic"
                yield ("examples", kind, number), f"{title!r} {said}"


def _error(name: str, tree: Any, problems: Sequence[_Problem]) -> ConfigError:
    """All problems in one error, each with its line and field."""
    lines = [f"{name}:{_line(tree, path)}: {'.'.join(map(str, path))}: {said}" for path, said in problems]
    return ConfigError("\n".join(lines), hint="correct the file, then run: veille doctor")


def _line(tree: Any, path: Sequence[int | str]) -> int:
    """The line of the field at `path`, or of the nearest one around it that is there."""
    line: int = 1
    node = tree
    for step in path:
        line = node.start_mark.line + 1
        if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        elif isinstance(node.value, list):
            found = [pair for pair in node.value if isinstance(pair, tuple) and pair[0].value == step]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line
