"""The rules of the topics, read from a folder of YAML files, one a topic.

Checks each file, names what is wrong with it line by line, and tries the rule on its own examples. Does not
tag articles: `tagger` does.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import isfinite
from pathlib import Path

from pipeline import yamlfile
from pipeline.errors import ConfigError, NotFound
from pipeline.topics import terms
from pipeline.topics.rules import Evidence, Group, Rule, Veto
from pipeline.topics.tagger import Tagger
from pipeline.yamlfile import FieldPath, Problem


def load(folder: Path, ids: Iterable[str] | None = None) -> tuple[Rule, ...]:
    """The rules of a folder's *.yaml, or those with the given ids, by id.

    Raises ConfigError naming file, line and field of all that is wrong with a rule, also if its examples do
    not come out as it says; NotFound for an id that no file has.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder", hint="point VEILLE_CONFIG at the folder of topics/")
    wanted = None if ids is None else set(ids)
    try:  # glob would find nothing, in silence, in a folder that may not be read
        paths = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix == ".yaml"}
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}", hint=f"ls -ld {folder}") from error
    if unknown := sorted((wanted or set()) - set(paths)):
        raise NotFound(f"no topic {', '.join(unknown)} in {folder}", hint="veille topics")
    return tuple(_read(path) for name, path in paths.items() if wanted is None or name in wanted)


def _read(path: Path) -> Rule:
    from pydantic import TypeAdapter, ValidationError

    file = yamlfile.read(path, hint="correct the file, then: veille doctor")
    try:
        rule: Rule = TypeAdapter(Rule).validate_python(file.data)
    except ValidationError as error:
        raise file.error([(problem["loc"], problem["msg"]) for problem in error.errors()]) from error
    if problems := list(_wrong(rule, path.stem)) or list(_mistaken(rule)):
        raise file.error(problems)
    return rule


def _wrong(rule: Rule, name: str) -> Iterator[Problem]:
    """What no type can tell."""
    if rule.id != name:
        yield ("id",), f"found {rule.id!r}; expected {name!r}, the name of the file"
    for needed in ("any", "languages"):
        if not getattr(rule, needed):
            yield (needed,), "empty"
    yield from _out_of_range(rule)
    for kind in ("all", "any", "none"):
        for number, group in enumerate(getattr(rule, kind)):
            yield from _unfindable((kind, number), group)


def _out_of_range(rule: Rule) -> Iterator[Problem]:
    for name in ("version", "cap_per_term", "min_distinct"):
        if getattr(rule, name) < 1:
            yield (name,), f"found {getattr(rule, name)}; expected at least 1"
    if not 0 < rule.threshold < float("inf"):
        yield ("threshold",), f"found {rule.threshold}; expected a number above 0"
    for name in ("title", "lead", "body"):
        if not 0 <= getattr(rule.boost, name) < float("inf"):
            yield ("boost", name), f"found {getattr(rule.boost, name)}; expected 0 or a number above it"
    for number, evidence in enumerate(rule.any):
        if not evidence.weight or not isfinite(evidence.weight):
            yield ("any", number, "weight"), f"found {evidence.weight}; expected a number other than 0"
        if evidence.within < 1:
            yield ("any", number, "within"), f"found {evidence.within}; expected at least 1"


def _unfindable(path: FieldPath, group: Group | Evidence | Veto) -> Iterator[Problem]:
    """Groups and terms that no text could meet, or not as they are meant."""
    near = group.near if isinstance(group, Evidence) else ()
    if not group.terms and not near:
        yield path, "holds no term"
    if near and (len(near) == 1 or not all(near)):
        yield (*path, "near"), "expected two lists of terms or more, none of them empty"
    for place, term in _terms(path, group):
        words = terms.parse(term, group.exact)
        prefixes = [word for word in words if word.kind == "prefix"]
        if not words:
            yield place, f"{term!r} holds no word that could be found"
        within = any(mark == "*" and after.isalnum() for mark, after in pairwise(term))
        if within or term.count("*") > len(prefixes):
            yield place, f"{term!r}: a * may only end a word, and none of an exact term"
        if any(len(word.value) < terms.PREFIX_AT_LEAST for word in prefixes):
            yield place, f"{term!r}: at least {terms.PREFIX_AT_LEAST} letters before a *"


def _terms(path: FieldPath, group: Group | Evidence | Veto) -> Iterator[tuple[FieldPath, str]]:
    """The terms of a group, and where they are written."""
    yield from (((*path, "terms", number), term) for number, term in enumerate(group.terms))
    for part, written in enumerate(group.near if isinstance(group, Evidence) else ()):
        yield from (((*path, "near", part, number), term) for number, term in enumerate(written))


def _mistaken(rule: Rule) -> Iterator[Problem]:
    """The examples that do not come out as the rule says."""
    tagger = Tagger((rule,))
    for kind, expected in (("match", True), ("no_match", False)):
        for number, example in enumerate(getattr(rule.examples, kind)):
            title, _, text = example.strip().partition("\n")
            if bool(tagger.tag(title, "", text, language=rule.languages[0])) is not expected:
                said = "does not carry the topic" if expected else "carries the topic"
                yield ("examples", kind, number), f"{title!r} {said}"
