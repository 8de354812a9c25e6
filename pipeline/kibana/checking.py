"""What would be wrong with a file of saved objects, as far as that can be told without a Kibana. *Pure.*

Every rule was read in Kibana's source or follows from its sample data: attributes are closed lists, nested
JSON is a string, references resolve in the file, accessors name columns, panels stand on 48 columns and on no
other panel, fields are in our index template with a type that can be counted, versions are not above those of
the sample data. It cannot tell how a chart looks.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from pipeline.kibana import charts, rules
from pipeline.kibana.lens import Json
from pipeline.kibana.objects import CORE_VERSION, PANEL_VERSION, SEARCH_SOURCE, VERSIONS
from pipeline.kibana.rules import Fields

COLUMNS = 48  # of a dashboard
TOP_LEVEL = {"type", "id", "coreMigrationVersion", "typeMigrationVersion", "attributes", "references"}
NEEDED = {
    "index-pattern": {"title", "name", "timeFieldName", "fields"},
    "search": {"title", "columns", "sort", "kibanaSavedObjectMeta"},
    "dashboard": {"title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"},
}
ALLOWED = {
    "index-pattern": NEEDED["index-pattern"]
    | {"fieldAttrs", "fieldFormatMap", "runtimeFieldMap", "typeMeta", "sourceFilters", "allowNoIndex"},
    "search": NEEDED["search"]
    | {"description", "hits", "version", "grid", "rowHeight", "rowsPerPage", "hideChart", "breakdownField"}
    | {"isTextBasedQuery", "usesAdHocDataView", "timeRestore", "timeRange", "refreshInterval", "viewMode"}
    | {"hideAggregatedPreview"},
    "dashboard": NEEDED["dashboard"]
    | {"description", "timeRestore", "timeFrom", "timeTo", "refreshInterval", "controlGroupInput", "hits"}
    | {"version"},
}
NESTED = {
    "index-pattern": {"fields", "fieldAttrs", "fieldFormatMap", "runtimeFieldMap", "typeMeta"},
    "search": set[str](),
    "dashboard": {"panelsJSON", "optionsJSON"},
}
FORMATS = {"url", "percent"}
PANEL = {"version", "type", "panelIndex", "gridData", "title", "embeddableConfig", "panelRefName"}


def problems(file: bytes, fields: Fields) -> list[str]:
    """What is wrong with the file, in the index that has these fields; nothing if it is right."""
    saved, found = [], []
    for number, line in enumerate(file.decode().splitlines(), 1):
        try:
            saved.append(json.loads(line))
        except ValueError as error:
            found.append(f"line {number} is not JSON: {error}")
    known = [(one.get("type"), one.get("id")) for one in saved]
    found += [f"{kind} {id_} is there twice" for kind, id_ in {k for k in known if known.count(k) > 1}]
    for one in saved:
        where = f"{one.get('type')} {one.get('id')}"
        found += [f"{where}: {problem}" for problem in _object(one, set(known), fields)]
    return found


def _object(one: Json, known: set[tuple[Any, Any]], fields: Fields) -> Iterator[str]:
    kind = one.get("type", "")
    if kind not in VERSIONS or set(one) != TOP_LEVEL:
        yield f"expected a {', '.join(VERSIONS)} with {', '.join(sorted(TOP_LEVEL))}"
        return
    attributes = one["attributes"]
    yield from _versions(one, kind)
    yield from rules.names("attributes", set(attributes), ALLOWED[kind], NEEDED[kind])
    nested = {}
    for name in NESTED[kind] & set(attributes):
        nested[name], wrong = _nested(name, attributes[name])
        yield from wrong
    for reference in one["references"]:
        if set(reference) != {"type", "id", "name"} or (reference["type"], reference["id"]) not in known:
            yield f"its reference {reference.get('name')} leads to nothing in this file"
    if None in nested.values() or NEEDED[kind] - set(attributes):
        return  # and what was said so far is what is wrong
    yield from _KINDS[kind](one, nested, fields)


def _versions(one: Json, kind: str) -> Iterator[str]:
    if _version(one["coreMigrationVersion"]) > _version(CORE_VERSION):
        yield f"coreMigrationVersion {one['coreMigrationVersion']} is above {CORE_VERSION}"
    if _version(one["typeMigrationVersion"]) > _version(VERSIONS[kind]):
        yield f"typeMigrationVersion {one['typeMigrationVersion']} is above {VERSIONS[kind]}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _nested(name: str, text: object) -> tuple[Any, list[str]]:
    """What a string of JSON holds, or None with the reason why it holds nothing."""
    if not isinstance(text, str):
        return None, [f"{name} must be a string that holds JSON"]
    try:
        return json.loads(text), []
    except ValueError as error:
        return None, [f"{name} holds no JSON: {error}"]


def _view(one: Json, nested: Json, fields: Fields) -> Iterator[str]:
    if fields.get(one["attributes"]["timeFieldName"]) != "date":
        yield f"timeFieldName {one['attributes']['timeFieldName']} is no date of the index"
    for name in {**nested["fieldAttrs"], **nested["fieldFormatMap"]}:
        yield from rules.field(name, fields)
    for name, shown in nested["fieldFormatMap"].items():
        if shown.get("id") not in FORMATS:
            yield f"{name} has a format that Kibana does not know: {shown.get('id')}"


def _search(one: Json, _: Json, fields: Fields) -> Iterator[str]:
    attributes = one["attributes"]
    source, wrong = _nested("searchSourceJSON", attributes["kibanaSavedObjectMeta"].get("searchSourceJSON"))
    yield from wrong
    if source is None:
        return
    if source.get("indexRefName") not in {reference["name"] for reference in one["references"]}:
        yield f"indexRefName must name one of its references, {SEARCH_SOURCE}"
    yield from rules.kql(source["query"], fields)
    for column in attributes["columns"]:
        yield from rules.field(column, fields)
    for column, _direction in attributes["sort"]:
        yield from rules.countable(column, fields)


def _dashboard(one: Json, nested: Json, fields: Fields) -> Iterator[str]:
    source, wrong = _nested(
        "searchSourceJSON", one["attributes"]["kibanaSavedObjectMeta"].get("searchSourceJSON")
    )
    yield from wrong
    if source is not None:
        yield from rules.kql(source["query"], fields)
    panels = nested["panelsJSON"]
    yield from _grid([panel["gridData"] | {"name": panel.get("panelIndex")} for panel in panels])
    references = {reference["name"] for reference in one["references"]}
    for panel in panels:
        yield from (f"panel {panel.get('panelIndex')}: {text}" for text in _panel(panel, references, fields))
    if unused := references - {name for panel in panels for name in _uses(panel)}:
        yield f"no panel uses the references {', '.join(sorted(unused))}"


def _uses(panel: Json) -> list[str]:
    """The names of the references that a panel needs, as the dashboard has them."""
    name = panel["panelIndex"]
    if panel["type"] == "search":
        return [f"{name}:{panel.get('panelRefName')}"]
    attributes = panel["embeddableConfig"].get("attributes", {})
    return [f"{name}:{reference['name']}" for reference in attributes.get("references", [])]


def _grid(places: list[Json]) -> Iterator[str]:
    for at in places:
        if at["i"] != at["name"]:
            yield f"panel {at['name']}: gridData.i is {at['i']}"
        if min(at["x"], at["y"]) < 0 or min(at["w"], at["h"]) < 1 or at["x"] + at["w"] > COLUMNS:
            yield f"panel {at['name']} stands outside the {COLUMNS} columns"
    if len({at["name"] for at in places}) < len(places):
        yield "two panels have one panelIndex"
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        if not beside and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]:
            yield f"panels {one['name']} and {other['name']} overlap"


def _panel(panel: Json, references: set[str], fields: Fields) -> Iterator[str]:
    yield from rules.names("panel", set(panel), PANEL, PANEL - {"title", "panelRefName"})
    if _version(panel["version"]) > _version(PANEL_VERSION):
        yield f"version {panel['version']} is above {PANEL_VERSION}"
    if lacking := set(_uses(panel)) - references:
        yield f"the dashboard has no reference {', '.join(sorted(lacking))}"
    if panel["type"] == "lens":
        yield from charts.problems(panel["embeddableConfig"].get("attributes", {}), fields)
    elif panel["type"] != "search":
        yield f"type {panel['type']} is neither lens nor search"


_KINDS = {"index-pattern": _view, "search": _search, "dashboard": _dashboard}
