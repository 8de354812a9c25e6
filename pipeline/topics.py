"""Topics by rules that explain themselves: which an article carries, and what in it says so. *Pure.*

Does not learn, does not guess a language, and reads no rules from files (`rulebook` does).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from pipeline.model import Hit, Tag
from pipeline.rules import Evidence, Group, Rule, Veto, written
from pipeline.terms import Field, Index, Place, Term

_UNKNOWN = "und"  # said of summaries too short to judge: every rule may try them

_Found = Mapping[Term, Sequence[Place]]


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
        fields = {"title": Field("title", title), "lead": Field("lead", lead), "text": Field("text", text)}
        found = self._index.find(fields.values())
        tags = (_judge(rule, found, fields) for rule in rules)
        return tuple(tag for tag in tags if tag)


def _terms_of(rules: Iterable[Rule]) -> set[Term]:
    groups: Iterator[Group | Evidence | Veto] = chain.from_iterable(
        (*rule.all, *rule.any, *rule.none) for rule in rules
    )
    return {(term, group.exact) for group in groups for term in written(group)}


class _Piece(NamedTuple):
    """Something that stands somewhere, and what it would count for."""

    group: str
    term: str
    place: Place
    points: float = 0.0


def _judge(rule: Rule, found: _Found, fields: Mapping[str, Field]) -> Tag | None:
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
    name = group.name or next(iter(written(group)))
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
    last: dict[int, Place] = {}
    for _, number, place in parts:
        if evidence.ordered and number and not _before(last.get(number - 1), place):
            continue
        last[number] = place
        if len(last) == len(evidence.near) and (whole := _whole(evidence, last.values())):
            last.clear()
            yield _Piece(evidence.name or term, term, whole)


def _before(earlier: Place | None, place: Place) -> bool:
    return earlier is not None and earlier.sentence == place.sentence and earlier.words[-1] < place.words[0]


def _whole(evidence: Evidence, places: Iterable[Place]) -> Place | None:
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


def _order(place: Place) -> tuple[int, int]:
    return ("title", "lead", "text").index(place.field), place.start


def _hit(piece: _Piece, part: Field) -> Hit:
    place = piece.place
    quote = part.quote(place.start, place.end)
    return Hit(piece.group, piece.term, part.name, place.start, place.end, piece.points, quote)
