"""What would be wrong with a file of saved objects, as far as that can be told without a Kibana. *Pure.*

Every rule was read in Kibana's source or follows from its sample data: attributes are closed lists, nested
JSON is a string, references resolve in the file, accessors name columns, panels stand on 48 columns and on no
other panel, fields are in our index template with a type that can be counted, versions are not above those of
the sample data. It cannot tell how a chart looks.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.kibana.lens import RECORDS, Json
from pipeline.kibana.objects import CORE_VERSION, PANEL_VERSION, SEARCH_SOURCE, VERSIONS

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
PANEL = {"version", "type", "panelIndex", "gridData", "title", "embeddableConfig", "panelRefName"}
CHART = {"title", "description", "type", "visualizationType", "references", "state"}
STATE = {"datasourceStates", "visualization", "query", "filters", "internalReferences", "adHocDataViews"}
SERIES = {"bar", "bar_stacked", "bar_percentage_stacked", "bar_horizontal", "bar_horizontal_stacked"}
OPERATIONS = {"count", "unique_count", "terms", "filters", "date_histogram"}
COUNTABLE = {"keyword", "boolean", "date", "ip", "byte", "short", "integer", "long", "float", "double"} | {
    "half_float",
    "scaled_float",
    "unsigned_long",
}
FORMATS = {"url", "percent"}

Fields = Mapping[str, str]  # the type of every field of the index, by its dotted name
_KQL_FIELD = re.compile(r"(?:^|[\s(])([@\w][\w.]*)\s*(?::|[<>]=?)")


def fields_of(properties: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """The fields of a mapping's `properties`, those inside objects and beside a field among them."""
    found: dict[str, str] = {}
    for name, field in properties.items():
        here = f"{above}{name}"
        if "properties" in field:
            found |= fields_of(field["properties"], f"{here}.")
        else:
            found[here] = field["type"]
        found |= fields_of(field.get("fields", {}), f"{here}.")
    return found


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
    yield from _names("attributes", set(attributes), ALLOWED[kind], NEEDED[kind])
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


def _names(what: str, found: set[str], allowed: set[str], needed: set[str]) -> Iterator[str]:
    if unknown := found - allowed:
        yield f"{what}: Kibana knows no {', '.join(sorted(unknown))}"
    if lacking := needed - found:
        yield f"{what}: {', '.join(sorted(lacking))} is missing"


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
        yield from _field(name, fields)
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
    yield from _kql(source["query"], fields)
    for column in attributes["columns"]:
        yield from _field(column, fields)
    for column, _direction in attributes["sort"]:
        yield from _countable(column, fields)


def _dashboard(one: Json, nested: Json, fields: Fields) -> Iterator[str]:
    source, wrong = _nested(
        "searchSourceJSON", one["attributes"]["kibanaSavedObjectMeta"].get("searchSourceJSON")
    )
    yield from wrong
    if source is not None:
        yield from _kql(source["query"], fields)
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
    yield from _names("panel", set(panel), PANEL, PANEL - {"title", "panelRefName"})
    if _version(panel["version"]) > _version(PANEL_VERSION):
        yield f"version {panel['version']} is above {PANEL_VERSION}"
    if lacking := set(_uses(panel)) - references:
        yield f"the dashboard has no reference {', '.join(sorted(lacking))}"
    if panel["type"] == "lens":
        yield from _chart(panel["embeddableConfig"].get("attributes", {}), fields)
    elif panel["type"] != "search":
        yield f"type {panel['type']} is neither lens nor search"


def _chart(chart: Json, fields: Fields) -> Iterator[str]:
    yield from _names("chart", set(chart), CHART, CHART - {"description"})
    if not isinstance(chart.get("state"), dict):
        yield "state must be an object, not a string"
        return
    state = chart["state"]
    yield from _names("state", set(state), STATE, STATE)
    layers = state["datasourceStates"].get("formBased", {}).get("layers", {})
    if not layers:
        yield "datasourceStates has no formBased layer"
    names = {reference["name"] for reference in chart["references"]}
    for name, layer in layers.items():
        if f"indexpattern-datasource-layer-{name}" not in names:
            yield f"layer {name} has no reference to its data view"
        yield from _layer(layer, fields)
    yield from _kql(state["query"], fields)
    yield from _shown(chart["visualizationType"], state["visualization"], layers)


def _layer(layer: Json, fields: Fields) -> Iterator[str]:
    columns = layer["columns"]
    if sorted(layer["columnOrder"]) != sorted(columns):
        yield "columnOrder must name every column once"
    order = [columns[name]["isBucketed"] for name in layer["columnOrder"] if name in columns]
    if order != sorted(order, reverse=True):
        yield "columnOrder must have the buckets before the measures"
    for name, column in columns.items():
        yield from (f"column {name}: {text}" for text in _column(column, columns, fields))


def _column(column: Json, columns: Json, fields: Fields) -> Iterator[str]:
    operation = column.get("operationType")
    if operation not in OPERATIONS:
        yield f"operation {operation} is none of {', '.join(sorted(OPERATIONS))}"
        return
    if operation == "filters":
        for part in column["params"]["filters"]:
            yield from _kql(part["input"], fields)
    elif operation == "count":
        if column["sourceField"] != RECORDS:
            yield f"count needs the field {RECORDS}"
    else:
        yield from _countable(column["sourceField"], fields)
    if operation == "date_histogram" and fields.get(column["sourceField"]) != "date":
        yield f"{column['sourceField']} is no date"
    if operation == "terms":
        yield from _order(column["params"], columns)
    if "filter" in column:
        yield from _kql(column["filter"], fields)


def _order(params: Json, columns: Json) -> Iterator[str]:
    if params["orderBy"].get("columnId") not in columns:
        yield f"it is ordered by {params['orderBy'].get('columnId')}, which is no column"
    if params["missingBucket"] and not params["otherBucket"]:
        yield "missingBucket counts only where there is an otherBucket"


def _shown(kind: str, shown: Json, layers: Json) -> Iterator[str]:
    """Whether what is drawn is there."""
    if kind == "lnsMetric":
        drawn = [(str(shown.get("layerId")), shown.get("metricAccessor"))]
    elif kind == "lnsXY":
        drawn = [(layer["layerId"], name) for layer in shown["layers"] for name in _accessors(layer)]
        for layer in shown["layers"]:
            if layer.get("layerType") != "data" or layer.get("seriesType") not in SERIES:
                yield f"layerType {layer.get('layerType')}, seriesType {layer.get('seriesType')}: not known"
    else:
        yield f"visualizationType {kind} is neither lnsXY nor lnsMetric"
        return
    for layer, accessor in drawn:
        if accessor not in layers.get(layer, {}).get("columns", {}):
            yield f"accessor {accessor} is no column of layer {layer}"
    unused = {(name, column) for name, layer in layers.items() for column in layer["columns"]} - {*drawn}
    yield from (f"column {column} is not drawn" for _, column in sorted(unused))


def _accessors(layer: Json) -> list[str]:
    named = [layer.get("xAccessor"), layer.get("splitAccessor"), *layer["accessors"]]
    return [name for name in named if name is not None]


def _kql(query: Json, fields: Fields) -> Iterator[str]:
    if query.get("language") != "kuery":
        yield f"query language {query.get('language')} is not kuery"
    outside_quotes = re.sub(r'"(?:\\.|[^"\\])*"', '""', query.get("query", ""))
    for name in _KQL_FIELD.findall(outside_quotes):
        yield from _field(name, fields)


def _field(name: str, fields: Fields) -> Iterator[str]:
    if name not in fields:
        yield f"the index has no field {name}"


def _countable(name: str, fields: Fields) -> Iterator[str]:
    yield from _field(name, fields)
    if fields.get(name, "keyword") not in COUNTABLE:
        yield f"{name} is {fields[name]}, which cannot be counted or sorted"


_KINDS = {"index-pattern": _view, "search": _search, "dashboard": _dashboard}
