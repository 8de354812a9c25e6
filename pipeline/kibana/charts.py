"""What would be wrong with a chart of Lens. *Pure.*

Does not tell whether its columns count what they should: that is seen on a real Elasticsearch.
"""

from collections.abc import Iterator

from pipeline.kibana import rules
from pipeline.kibana.lens import RECORDS, Json
from pipeline.kibana.rules import Fields

CHART = {"title", "description", "type", "visualizationType", "references", "state"}
STATE = {"datasourceStates", "visualization", "query", "filters", "internalReferences", "adHocDataViews"}
SERIES = {"bar", "bar_stacked", "bar_percentage_stacked", "bar_horizontal", "bar_horizontal_stacked"}
OPERATIONS = {"count", "unique_count", "terms", "filters", "date_histogram"}


def problems(chart: Json, fields: Fields) -> Iterator[str]:
    """What is wrong with the chart, in the index that has these fields."""
    yield from rules.names("chart", set(chart), CHART, CHART - {"description"})
    if not isinstance(chart.get("state"), dict):
        yield "state must be an object, not a string"
        return
    state = chart["state"]
    yield from rules.names("state", set(state), STATE, STATE)
    layers = state["datasourceStates"].get("formBased", {}).get("layers", {})
    if not layers:
        yield "datasourceStates has no formBased layer"
    names = {reference["name"] for reference in chart["references"]}
    for name, layer in layers.items():
        if f"indexpattern-datasource-layer-{name}" not in names:
            yield f"layer {name} has no reference to its data view"
        yield from _layer(layer, fields)
    yield from rules.kql(state["query"], fields)
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
            yield from rules.kql(part["input"], fields)
    elif operation == "count":
        if column["sourceField"] != RECORDS:
            yield f"count needs the field {RECORDS}"
    else:
        yield from rules.countable(column["sourceField"], fields)
    if operation == "date_histogram" and fields.get(column["sourceField"]) != "date":
        yield f"{column['sourceField']} is no date"
    if operation == "terms":
        yield from _order(column["params"], columns)
    if "filter" in column:
        yield from rules.kql(column["filter"], fields)


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
