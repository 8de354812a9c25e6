"""The saved objects, and the file that Kibana imports: one JSON object a line. *Pure.*

Does not read or write files. The same source gives the same bytes.
"""

import json
from collections.abc import Iterator

from pipeline.kibana import lens
from pipeline.kibana.lens import Json
from pipeline.kibana.panels import Dashboard, DataView, Panel, Search, Source

# Those of the sample data that Kibana ships, in 8.11 as in 9: older objects are brought up to date on import,
# newer ones are refused ("belongs to a more recent version").
CORE_VERSION = "8.8.0"
VERSIONS = {"index-pattern": "7.11.0", "search": "7.9.3", "dashboard": "8.7.0"}
PANEL_VERSION = "8.11.0"
SEARCH_SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"  # the name of a search's reference to its data


def render(source: Source) -> bytes:
    """The file's bytes."""
    lines = [_compact(saved) for saved in saved_objects(source)]
    return "".join(f"{line}\n" for line in lines).encode()


def saved_objects(source: Source) -> Iterator[Json]:
    """Every object, each after those it refers to."""
    yield _data_view(source.data_view)
    for search in source.searches:
        yield _search(search, source.data_view)
    for dashboard in source.dashboards:
        yield _dashboard(dashboard, source.data_view)


def _data_view(view: DataView) -> Json:
    attributes = {
        "title": view.title,
        "name": view.name,
        "timeFieldName": view.time_field,
        "fields": "[]",
        "fieldAttrs": _compact({name: {"customLabel": field.label} for name, field in view.fields.items()}),
        "fieldFormatMap": _compact(
            {name: {"id": field.format} for name, field in view.fields.items() if field.format}
        ),
        "runtimeFieldMap": "{}",
        "typeMeta": "{}",
    }
    return _saved("index-pattern", view.id, attributes, [])


def _search(search: Search, view: DataView) -> Json:
    meta = {
        "highlightAll": True,
        "version": True,
        "query": lens.kql(search.query),
        "filter": [],
        "indexRefName": SEARCH_SOURCE,
    }
    attributes = {
        "title": search.title,
        "description": search.description,
        "columns": list(search.columns),
        "sort": [[view.time_field, "desc"]],
        "hits": 0,
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _compact(meta)},
    }
    return _saved("search", search.id, attributes, [_reference("index-pattern", view.id, SEARCH_SOURCE)])


def _dashboard(dashboard: Dashboard, view: DataView) -> Json:
    panels = [(f"p{number}", panel) for number, panel in enumerate(dashboard.panels, 1)]
    attributes = {
        "title": dashboard.title,
        "description": dashboard.description,
        "version": 1,
        "hits": 0,
        "timeRestore": True,
        "timeFrom": dashboard.since,
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60_000},
        "optionsJSON": _compact(
            {
                "useMargins": True,
                "syncColors": True,  # a topic has one colour
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": _compact({"query": lens.kql(dashboard.query), "filter": []})
        },
        "panelsJSON": _compact([_panel(name, panel, view) for name, panel in panels]),
    }
    references = [
        _reference("search", panel.search, f"{name}:panel_{name}")
        if panel.search
        else _reference("index-pattern", view.id, f"{name}:indexpattern-datasource-layer-{lens.LAYER}")
        for name, panel in panels
    ]
    return _saved("dashboard", dashboard.id, attributes, references)


def _panel(name: str, panel: Panel, view: DataView) -> Json:
    at = panel.at
    made = {
        "version": PANEL_VERSION,
        "type": "search" if panel.search else "lens",
        "panelIndex": name,
        "gridData": {"x": at.x, "y": at.y, "w": at.w, "h": at.h, "i": name},
        "title": panel.title,
    }
    if panel.search:
        return made | {"embeddableConfig": {"enhancements": {}}, "panelRefName": f"panel_{name}"}
    attributes = lens.chart(panel, view.id, view.time_field)
    return made | {
        "embeddableConfig": {"attributes": attributes, "enhancements": {}, "hidePanelTitles": False}
    }


def _saved(kind: str, id_: str, attributes: Json, references: list[Json]) -> Json:
    return {
        "type": kind,
        "id": id_,
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": VERSIONS[kind],
        "attributes": attributes,
        "references": references,
    }


def _reference(kind: str, id_: str, name: str) -> Json:
    return {"type": kind, "id": id_, "name": name}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
