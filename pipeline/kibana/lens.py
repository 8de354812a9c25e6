"""A chart as Kibana's editor Lens describes it. *Pure.*

Does not know on which dashboard it stands, nor ask anything.
"""

from typing import Any

from pipeline.kibana.panels import Number, Panel, Part, PerDay, Top

LAYER = "articles"  # a chart has one layer of data
DAY, SPLIT, MEASURE = "day", "split", "measure"  # the names of its columns
RECORDS = "___records___"  # Kibana's name for documents themselves

Json = dict[str, Any]


def chart(panel: Panel, data_view: str, time_field: str) -> Json:
    """The attributes of the panel's chart, on the data view of that id."""
    if panel.per_day:
        columns, kind, shown = _per_day(panel.per_day, time_field)
    elif panel.ranking:
        columns, kind, shown = _ranking(panel.ranking)
    else:
        assert panel.number
        columns, kind, shown = _number(panel.number, panel.title)
    layer = {"columnOrder": list(columns), "columns": columns, "incompleteColumns": {}}
    return {
        "title": panel.title,
        "type": "lens",
        "visualizationType": kind,
        "references": [
            {"type": "index-pattern", "id": data_view, "name": f"indexpattern-datasource-layer-{LAYER}"}
        ],
        "state": {
            "datasourceStates": {"formBased": {"layers": {LAYER: layer}}, "textBased": {"layers": {}}},
            "visualization": shown,
            "query": kql(""),
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def kql(query: str) -> Json:
    """A query in Kibana's own language."""
    return {"query": query, "language": "kuery"}


def _per_day(wanted: PerDay, time_field: str) -> tuple[dict[str, Json], str, Json]:
    """The cut comes before the day, so that all days are cut by the same values."""
    columns = {
        SPLIT: _top(wanted.top) if wanted.top else _filters(wanted.filters),
        DAY: {
            "label": "Jour",
            "customLabel": True,
            "dataType": "date",
            "operationType": "date_histogram",
            "sourceField": time_field,
            "isBucketed": True,
            "scale": "interval",
            "params": {"interval": "1d", "includeEmptyRows": True, "dropPartials": False},
        },
        MEASURE: _articles(),
    }
    series = "bar_percentage_stacked" if wanted.shares else "bar_stacked"
    return columns, "lnsXY", _bars(series, DAY) | {"legend": {"isVisible": True, "position": "right"}}


def _ranking(wanted: Top) -> tuple[dict[str, Json], str, Json]:
    columns = {SPLIT: _top(wanted), MEASURE: _articles()}
    shown = _bars("bar_horizontal", SPLIT)
    return (
        columns,
        "lnsXY",
        shown | {"legend": {"isVisible": False, "position": "right"}, "valueLabels": "show"},
    )


def _number(wanted: Number, title: str) -> tuple[dict[str, Json], str, Json]:
    if wanted.unique:
        measure = _articles() | {"operationType": "unique_count", "sourceField": wanted.unique}
    else:
        measure = _articles()
        measure |= {} if wanted.count == "all" else {"filter": kql(wanted.count)}
    measure |= {"label": title, "params": {"emptyAsNull": False}}
    shown = {"layerId": LAYER, "layerType": "data", "metricAccessor": MEASURE}
    return {MEASURE: measure}, "lnsMetric", shown


def _bars(series: str, along: str) -> Json:
    layer = {
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": along,
        "accessors": [MEASURE],
    }
    if along != SPLIT:
        layer["splitAccessor"] = SPLIT
    return {
        "preferredSeriesType": series,
        "layers": [layer],
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
    }


def _articles() -> Json:
    return {
        "label": "Articles",
        "customLabel": True,
        "dataType": "number",
        "operationType": "count",
        "sourceField": RECORDS,
        "isBucketed": False,
        "scale": "ratio",
        "params": {"emptyAsNull": True},
    }


def _top(wanted: Top) -> Json:
    return {
        "label": wanted.label,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": wanted.field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": wanted.size,
            "orderBy": {"type": "column", "columnId": MEASURE},
            "orderDirection": "desc",
            "otherBucket": wanted.others,
            "missingBucket": wanted.missing,
            "parentFormat": {"id": "terms"},
            "include": [],
            "exclude": list(wanted.exclude),
            "includeIsRegex": False,
            "excludeIsRegex": False,
        },
    }


def _filters(wanted: tuple[Part, ...]) -> Json:
    return {
        "label": "Articles",
        "customLabel": True,
        "dataType": "string",
        "operationType": "filters",
        "isBucketed": True,
        "scale": "ordinal",
        "params": {"filters": [{"input": kql(part.query), "label": part.label} for part in wanted]},
    }
