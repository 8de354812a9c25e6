"""The data view, the saved searches and the dashboards, read from config/kibana/*.yaml.

Checks the form of the files and names what is wrong, line by line. Does not know whether the index has the
fields: `checking` does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pipeline import yamlfile
from pipeline.errors import ConfigError
from pipeline.kibana.panels import CLOSED, Dashboard, DataView, Panel, Search, Source
from pipeline.yamlfile import FieldPath, Problem

HINT = "correct the file, then: make kibana"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Articles:
    data_view: DataView
    searches: tuple[Search, ...]
    __pydantic_config__: ClassVar = CLOSED


def load(folder: Path) -> Source:
    """Read articles.yaml and every dashboard-*.yaml. Raises ConfigError naming file, line and field."""
    articles, _ = _read(folder / "articles.yaml", _Articles)
    known = {search.id for search in articles.searches}
    dashboards = []
    for path in sorted(folder.glob("dashboard-*.yaml")):
        dashboard, file = _read(path, Dashboard)
        if problems := _wrong(dashboard, known):
            raise file.error(problems)
        dashboards.append(dashboard)
    if not dashboards:
        raise ConfigError(f"{folder}: there is no dashboard-*.yaml", hint=HINT)
    return Source(articles.data_view, articles.searches, tuple(dashboards))


def _read(path: Path, kind: type[T]) -> tuple[T, yamlfile.YamlFile]:
    from pydantic import TypeAdapter, ValidationError

    file = yamlfile.read(path, hint=HINT)
    try:
        return TypeAdapter(kind).validate_python(file.data), file
    except ValidationError as error:
        raise file.error([(problem["loc"], problem["msg"]) for problem in error.errors()]) from error


def _wrong(dashboard: Dashboard, searches: set[str]) -> list[Problem]:
    """What no type can tell."""
    return [
        problem
        for number, panel in enumerate(dashboard.panels)
        for problem in _wrong_panel(("panels", number), panel, searches)
    ]


def _wrong_panel(path: FieldPath, panel: Panel, searches: set[str]) -> list[Problem]:
    kinds: dict[str, Any] = {
        name: getattr(panel, name) for name in ("per_day", "ranking", "number", "search")
    }
    given = [name for name, value in kinds.items() if value]
    if len(given) != 1:
        return [(path, f"expected one of {', '.join(kinds)}; found {' and '.join(given) or 'none'}")]
    if panel.search and panel.search not in searches:
        return [((*path, "search"), f"there is no search {panel.search!r} in articles.yaml")]
    if panel.per_day and bool(panel.per_day.top) == bool(panel.per_day.filters):
        return [((*path, "per_day"), "expected top or filters")]
    if panel.number and bool(panel.number.count) == bool(panel.number.unique):
        return [((*path, "number"), "expected count or unique")]
    tops = [top for top in (panel.ranking, panel.per_day and panel.per_day.top) if top]
    return [((*path, given[0]), "missing needs others") for top in tops if top.missing and not top.others]
