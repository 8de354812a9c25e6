"""Topics by rules that explain themselves: which an article carries, and what in it says so. *Pure.*

Does not learn, does not guess a language, and reads no rules from files (`rulebook` does).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from pipeline.model import Hit, Tag
from pipeline.topics.rules import Evidence, Group, Rule, Veto, written
from pipeline.topics.terms import Field, Index, Place, Term, Unit, first_said, parse

_UNKNOWN = "und"  # said of summaries too short to judge: every rule may try them


class Tagger:
    """All rules at once: every text is read one time, in time linear in its length. Worth keeping."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._index = Index(_terms_of(rules))

    def tag(self, title: str, lead: str, text: str, *, language: str = "fr") -> tuple[Tag, ...]:
        """The article's topics, in the order of the rules. The points of a tag's hits add up to its score."""
        rules = [rule for rule in self._rules if language in rule.languages or language == _UNKNOWN]
        if not rules:
            return ()
        texts = {"title": title, "lead": lead, "text": text}
        fields = {name: Field(name, text, self._index) for name, text in texts.items()}
        possible = set[Term]().union(*(part.may_hold() for part in fields.values()))
        rules = [rule for rule in rules if _is_possible(rule, possible)]
        if not rules:  # as for most articles: then it need not be known where their words stand
            return ()
        reading = _Reading(fields, self._index, possible & _terms_of(rules))
        tags = (_judge(rule, reading) for rule in rules)
        return tuple(tag for tag in tags if tag)


def _is_possible(rule: Rule, held: AbstractSet[Term]) -> bool:
    """Whether an article that holds at most these terms could carry the rule's topic."""
    required = all(any((term, group.exact) in held for term in group.terms) for group in rule.all)
    return required and len(set(_different(rule, held))) >= max(1, rule.min_distinct)


def _different(rule: Rule, held: AbstractSet[Term]) -> Iterator[Hashable]:
    """What may speak for the topic there, as `_Piece.said` names it."""
    for evidence in rule.any:
        if evidence.weight > 0:
            yield from (
                parse(term, evidence.exact) for term in evidence.terms if (term, evidence.exact) in held
            )
            if evidence.near and all(
                any((term, evidence.exact) in held for term in terms) for terms in evidence.near
            ):
                yield evidence.near, evidence.exact


def _terms_of(rules: Iterable[Rule]) -> set[Term]:
    groups: Iterator[Group | Evidence | Veto] = chain.from_iterable(
        (*rule.all, *rule.any, *rule.none) for rule in rules
    )
    return {(term, group.exact) for group in groups for term in written(group)}


class _Reading:
    """An article as rules of these terms see it."""

    def __init__(self, fields: Mapping[str, Field], index: Index, terms: AbstractSet[Term]) -> None:
        self._fields = fields
        self._lines = [line for part in fields.values() for line in part.read(terms)]
        self._found = index.find(self._lines)

    def places(self, term: str, exact: bool) -> Sequence[Place]:
        return self._found.get((term, exact), ())

    def words(self, place: Place) -> set[tuple[str, int]]:
        """The words of a place; a sentence said again is made of its first words."""
        field, on = self._first_said[place.sentence]
        return {(field, number + on) for number in place.words}

    @cached_property
    def _first_said(self) -> dict[Unit, tuple[str, int]]:
        return first_said(self._lines)  # whatever line says the same sentence may hold the same terms

    def quote(self, place: Place) -> str:
        return self._fields[place.field].quote(place)


class _Piece(NamedTuple):
    """Something that stands somewhere, and what it would count for."""

    group: str
    term: str
    said: Hashable  # the term, however it is spelt
    place: Place
    points: float = 0.0


def _judge(rule: Rule, reading: _Reading) -> Tag | None:
    required = [_standing(group, reading) for group in rule.all]
    forbidden = (_standing(veto, reading) for veto in rule.none if veto.scope == "article")
    if not all(required) or any(forbidden):
        return None
    counted = _counted(rule, reading, _evidence(rule, reading, required))
    score = sum(piece.points for piece in counted)
    distinct = {piece.said for piece in counted if piece.points > 0}
    if score < rule.threshold or len(distinct) < rule.min_distinct:
        return None
    pieces = [min(group, key=lambda piece: _order(piece.place)) for group in required] + counted
    hits = tuple(_hit(piece, reading.quote(piece.place)) for piece in pieces)
    return Tag(rule.id, rule.version, score, score / (score + rule.threshold), hits)


def _standing(group: Group | Veto | Evidence, reading: _Reading) -> list[_Piece]:
    return [
        _Piece(_name(group), term, parse(term, group.exact), place)
        for term in group.terms
        for place in reading.places(term, group.exact)
    ]


def _name(group: Group | Veto | Evidence) -> str:
    return group.name or next(iter(written(group)))


def _evidence(rule: Rule, reading: _Reading, required: Sequence[Sequence[_Piece]]) -> Iterator[_Piece]:
    """All that speaks for the topic or against it, where it may."""
    vetoes = ((veto, _standing(veto, reading)) for veto in rule.none if veto.scope != "article")
    barred = {getattr(piece.place, veto.scope) for veto, pieces in vetoes for piece in pieces}
    reach = [
        {unit for piece in group for unit in (piece.place.field, piece.place.paragraph, piece.place.sentence)}
        for group in required
    ]
    boosts = {"title": rule.boost.title, "lead": rule.boost.lead, "text": rule.boost.body}
    for evidence in rule.any:
        for piece in chain(_standing(evidence, reading), _together(evidence, reading)):
            place = piece.place
            in_reach = evidence.scope == "article" or all(
                "title" in units or getattr(place, evidence.scope) in units for units in reach
            )
            if in_reach and place.sentence not in barred and place.paragraph not in barred:
                yield piece._replace(points=evidence.weight * boosts[place.field])


class _Part(NamedTuple):
    """A term of one part of `near`, where it stands."""

    number: int
    term: str
    place: Place


def _together(evidence: Evidence, reading: _Reading) -> Iterator[_Piece]:
    """Where one term of each part of `near` stand together: from the left, none of them twice."""
    parts = (
        _Part(number, term, place)
        for number, terms in enumerate(evidence.near)
        for term in terms
        for place in reading.places(term, evidence.exact)
    )
    latest: dict[int, tuple[_Part, ...]] = {}  # of each part; in an order, after the parts before it
    for part in sorted(parts, key=lambda part: (_order(part.place), -part.number)):
        number = part.number
        earlier = latest.get(number - 1, ()) if evidence.ordered and number else ()
        if evidence.ordered and number and not _before(earlier, part.place):
            continue
        latest[number] = (*earlier, part)
        together = latest.get(len(evidence.near) - 1, ()) if evidence.ordered else chain(*latest.values())
        if whole := _whole(evidence, sorted(together, key=attrgetter("number"))):
            latest.clear()
            yield whole


def _before(earlier: Sequence[_Part], place: Place) -> bool:
    if not earlier:
        return False
    last = earlier[-1].place
    return last.sentence == place.sentence and last.words[-1] < place.words[0]


def _whole(evidence: Evidence, parts: Sequence[_Part]) -> _Piece | None:
    """The parts as one piece, named by the terms that stand there, if of one sentence and near enough."""
    places = [part.place for part in parts]
    words = sorted(word for place in places for word in place.words)
    if (
        len(places) < len(evidence.near)
        or len({place.sentence for place in places}) > 1
        or len(set(words)) < len(words)
        or words[-1] - words[0] > evidence.within
    ):
        return None
    first = min(places, key=_order)
    place = first._replace(end=max(place.end for place in places), words=tuple(words))
    group = evidence.name or " … ".join(terms[0] for terms in evidence.near)
    return _Piece(group, " … ".join(part.term for part in parts), (evidence.near, evidence.exact), place)


def _counted(rule: Rule, reading: _Reading, pieces: Iterable[_Piece]) -> list[_Piece]:
    """The pieces that count: no word for two of them, none more often than the cap, the heaviest first."""
    counted, claimed, times = [], set[tuple[str, int]](), Counter[tuple[str, Hashable]]()
    for piece in sorted(pieces, key=lambda piece: (-abs(piece.points), _order(piece.place))):
        words = reading.words(piece.place)
        if times[piece.group, piece.said] < rule.cap_per_term and not words & claimed:
            times[piece.group, piece.said] += 1
            claimed |= words
            counted.append(piece)
    return counted


def _order(place: Place) -> tuple[int, int, int]:
    """As one reads; of two that begin together the longer first."""
    return ("title", "lead", "text").index(place.field), place.start, -place.end


def _hit(piece: _Piece, quote: str) -> Hit:
    place = piece.place
    return Hit(piece.group, piece.term, place.field, place.start, place.end, piece.points, quote)
