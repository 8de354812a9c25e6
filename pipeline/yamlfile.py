"""A YAML file of the configuration, and errors that name its lines.

Knows no file in particular: what may stand in it is the reader's business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

_MAX_PROBLEMS = 20  # in one message: a file that is wrong throughout is wrong in one way

FieldPath = tuple[int | str, ...]  # ("publishers", 3, "feeds", 0, "url")
Problem = tuple[FieldPath, str]  # where, and what is wrong there
_Tree = Any  # a yaml.Node, whose stubs lack `id` and `value`


@dataclass(frozen=True)
class YamlFile:
    """What a file holds. `hint` is the command that says whether a corrected file is right."""

    path: Path
    hint: str
    data: Any
    _tree: _Tree

    def error(self, problems: Sequence[Problem]) -> ConfigError:
        """All problems in one error, each with its line and field."""
        return _error(self.path, self._tree, problems, self.hint)


def read(path: Path, *, hint: str) -> YamlFile:
    """A file as plain values; an empty one is an empty mapping.

    Raises ConfigError naming the file, and the line if it is the YAML that is wrong.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=loader) or yaml.compose("{}", Loader=loader)
        if problems := list(_named_twice(tree, ())):
            raise _error(path, tree, problems, hint)
        return YamlFile(path, hint, loader("").construct_document(tree), tree)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file", hint=f"point VEILLE_CONFIG at the folder of {path.name}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error


def _named_twice(node: _Tree, path: FieldPath) -> Iterator[Problem]:
    """Keys that a mapping has twice: YAML would silently keep the last."""
    if node.id == "sequence":
        for index, child in enumerate(node.value):
            yield from _named_twice(child, (*path, index))
    elif node.id == "mapping":
        seen = set()
        for key, child in node.value:
            name = str(key.value)
            if name in seen:
                yield (*path, name), "found twice; expected once"
            seen.add(name)
            yield from _named_twice(child, (*path, name))


def _error(path: Path, tree: _Tree, problems: Sequence[Problem], hint: str) -> ConfigError:
    lines = [
        f"{path}:{_line(tree, field)}: {_spelt(field)}: {text}" for field, text in problems[:_MAX_PROBLEMS]
    ]
    if more := len(problems) - len(lines):
        lines.append(f"{path}: and {more} more")
    return ConfigError("\n".join(lines), hint=hint)


def _line(node: _Tree, path: FieldPath) -> int:
    """The line of a field, or of the nearest thing around it that is there."""
    line: int = node.start_mark.line + 1
    if path and node.id == "sequence" and isinstance(path[0], int) and path[0] < len(node.value):
        return _line(node.value[path[0]], path[1:])
    if path and node.id == "mapping":
        for key, child in reversed(node.value):  # the later of two with one name
            if key.value == path[0]:
                return _line(child, path[1:]) if path[1:] else key.start_mark.line + 1
    return line


def _spelt(path: FieldPath) -> str:
    """A field for people: publishers[3].feeds[0].url."""
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "file"
    )
