"""The rules of the topics, read from a folder of YAML files, one a topic.

Checks each file, names what is wrong with it line by line, and tries the rule on its own examples.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import terms
from pipeline.errors import ConfigError, NotFound
from pipeline.rules import Rule, written
from pipeline.topics import Tagger

_Problem = tuple[Sequence[int | str], str]  # the path to a field, and what is wrong there


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
            for term in written(group):
                if not terms.parse(term, exact=group.exact):
                    yield (place, number), f"{term!r} holds no word that could be found"
                for word in terms.parse(term, exact=group.exact):
                    if word.kind == "prefix" and len(word.value) < terms.PREFIX_AT_LEAST:
                        yield (
                            (place, number),
                            f"{term!r}: at least {terms.PREFIX_AT_LEAST} letters before a *",
                        )


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
