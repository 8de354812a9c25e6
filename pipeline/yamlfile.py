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
        text = _text(path, hint)
        tree = yaml.compose(text, Loader=loader) or yaml.compose("{}", Loader=loader)
        if problems := list(_named_twice(tree, ())):
            raise _error(path, tree, problems, hint)
        return YamlFile(path, hint, loader("").construct_document(tree), tree)
    except ValueError as error:
        raise _error(path, tree, list(_without_value(tree, (), loader)), hint) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_said(error)}", hint=hint) from error


def _said(error: Any) -> str:
    """What is wrong with the YAML, where, and in what that began before."""
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    began = f" {error.context} from line {context.line + 1}" if context else ""
    return f"{line}: not valid YAML: {getattr(error, 'problem', error)}{began}"


def _text(path: Path, hint: str) -> str:
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file", hint=f"point VEILLE_CONFIG at the folder of {path.name}"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint=f"ls -l {path.parent}") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: cannot be read: expected text in UTF-8", hint=hint) from error


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


def _without_value(node: _Tree, path: FieldPath, loader: Any) -> Iterator[Problem]:
    """Scalars that look like a day or a number and are none: 2024-13-45."""
    if node.id == "scalar":
        try:
            loader("").construct_document(node)
        except ValueError:
            yield path, f"found {node.value!r}; expected something that exists, or text in quotes"
    elif node.id == "sequence":
        for index, child in enumerate(node.value):
            yield from _without_value(child, (*path, index), loader)
    else:
        for key, child in node.value:
            yield from _without_value(child, (*path, str(key.value)), loader)


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
