"""What Kibana asks Elasticsearch when a dashboard is opened, made from the saved objects alone.

Read in Kibana's source: which aggregation a column of Lens becomes and under which number, the second request
for « other », queries in KQL as its parser translates them for fields of our types, the time range as a
filter. Only what our charts use; anything else is an error.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

ZONE = "Europe/Paris"  # Kibana takes the browser's
MISSING, OTHER = "__missing__", "__other__"
ROWS = 500  # discover:sampleSize
WHOLE = 2**31 - 1  # the size of a fragment: a marked text is shown whole
SMALL = 10  # up to which size of a ranking Kibana asks each shard for 25


@dataclass(frozen=True)
class Period:
    """The time range of a dashboard, as moments in ISO 8601."""

    since: str
    until: str


@dataclass(frozen=True)
class Chart:
    """A chart on its dashboard: columns in order, and the query that all of them share."""

    columns: tuple[dict[str, Any], ...]
    query: dict[str, Any]

    def request(self) -> dict[str, Any]:
        """The first question."""
        return {"size": 0, "track_total_hits": True, "query": self.query, "aggs": self._aggs(0)}

    def other_request(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """The question for all values that are not among the first; None where there are none."""
        column = self.columns[0]
        params = column.get("params", {})
        if not params.get("otherBucket") or not answer["aggregations"]["0"]["sum_other_doc_count"]:
            return None
        found = answer["aggregations"]["0"]
        field = column["sourceField"]
        keys = [bucket["key"] for bucket in found["buckets"] if bucket["key"] != MISSING]
        must = {"exists": {"field": field}}
        needs_field = not params["missingBucket"] or len(keys) < len(found["buckets"])
        matches = {
            "must": [],
            "filter": [must] if needs_field else [],
            "should": [],
            "must_not": [{"match_phrase": {field: key}} for key in keys],
        }
        filters = {"filters": {"filters": {"": {"bool": matches}}}}
        aggs = {"other-filter": {**filters, "aggs": self._aggs(1)}}
        return {"size": 0, "track_total_hits": True, "query": self.query, "aggs": aggs}

    def rows(self, answer: dict[str, Any], other: dict[str, Any] | None) -> dict[tuple[str, ...], int]:
        """The chart's figures, by the names of their buckets."""
        everything = {"doc_count": answer["hits"]["total"]["value"], **answer.get("aggregations", {})}
        rows = dict(self._rows(everything, 0))
        if other:
            bucket = other["aggregations"]["other-filter"]["buckets"][""]
            rows |= {(OTHER, *names): count for names, count in self._rows(bucket, 1)}
        return rows

    def _aggs(self, number: int) -> dict[str, Any]:
        column = self.columns[number]
        made = _METHODS[column["operationType"]](column)
        if not column["isBucketed"]:
            return _measure(str(number), column, made)
        below = self._aggs(number + 1)
        return {str(number): {**made, **({"aggs": below} if below else {})}}

    def _rows(self, answer: dict[str, Any], number: int):
        column = self.columns[number]
        if not column["isBucketed"]:
            yield (), _figure(answer, str(number), column)
            return
        buckets = answer[str(number)]["buckets"]
        named = buckets.items() if isinstance(buckets, dict) else [(_key(one), one) for one in buckets]
        for name, bucket in named:
            yield from (((name, *names), count) for names, count in self._rows(bucket, number + 1))


def charts(saved: list[dict[str, Any]], period: Period):
    """Every chart of every dashboard: its dashboard's title, its own, and what it asks."""
    for one in saved:
        if one["type"] == "dashboard":
            above = json.loads(one["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
            for panel in json.loads(one["attributes"]["panelsJSON"]):
                if panel["type"] == "lens":
                    yield one["attributes"]["title"], panel["title"], _chart(panel, above, period)


def search(one: dict[str, Any], period: Period, above: str = "") -> dict[str, Any]:
    """What a saved search asks, with the query of its dashboard, or of a person, in `above`."""
    attributes = one["attributes"]
    own = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
    order = {"format": "strict_date_optional_time", "unmapped_type": "boolean"}
    sort = [{field: {"order": direction, **order}} for field, direction in attributes["sort"]]
    return {
        "size": ROWS,
        "track_total_hits": True,
        "query": _filtered([above, own], period),
        "sort": [*sort, {"_doc": {"order": "desc", "unmapped_type": "boolean"}}],
        "fields": [{"field": "*", "include_unmapped": True}],
        "_source": False,
        "highlight": {
            "pre_tags": ["@kibana-highlighted-field@"],
            "post_tags": ["@/kibana-highlighted-field@"],
            "fields": {"*": {}},
            "fragment_size": WHOLE,
        },
    }


def _chart(panel: dict[str, Any], above: dict[str, Any], period: Period) -> Chart:
    state = panel["embeddableConfig"]["attributes"]["state"]
    [layer] = state["datasourceStates"]["formBased"]["layers"].values()
    queries = [above["query"]["query"], state["query"]["query"]]
    columns = tuple({**layer["columns"][name], "period": period} for name in layer["columnOrder"])
    return Chart(columns, _filtered(queries, period))


def _filtered(queries: list[str], period: Period) -> dict[str, Any]:
    moments = {"format": "strict_date_optional_time", "gte": period.since, "lte": period.until}
    own = [kql(query) for query in queries if query]
    return {
        "bool": {
            "must": [],
            "filter": [*own, {"range": {"@timestamp": moments}}],
            "should": [],
            "must_not": [],
        }
    }


def kql(query: str) -> dict[str, Any]:
    """A query as Kibana's parser translates it. Raises ValueError for what our dashboards do not use."""
    if query.startswith("not "):
        return {"bool": {"must_not": kql(query.removeprefix("not "))}}
    if re.fullmatch(r"\w+( \w+)*", query):
        return {"multi_match": {"type": "best_fields", "query": query, "lenient": True}}
    match = re.fullmatch(r'([@\w.]+) : (?:(\*)|"([^"]*)"|(true|false))', query)
    if not match:
        raise ValueError(query)
    field, any_, phrase, boolean = match.groups()
    if any_:
        found = {"exists": {"field": field}}
    elif boolean:
        found = {"match": {field: boolean == "true"}}
    else:
        found = {"term": {field: {"value": phrase}}}
    return {"bool": {"should": [found], "minimum_should_match": 1}}


def _terms(column: dict[str, Any]) -> dict[str, Any]:
    params = column["params"]
    terms = {
        "field": column["sourceField"],
        "order": {"_count": params["orderDirection"]},
        "size": params["size"],
    }
    if params["size"] <= SMALL:
        terms["shard_size"] = 25
    if params["otherBucket"] and params["missingBucket"]:
        terms["missing"] = MISSING
    return {"terms": terms | {name: params[name] for name in ("include", "exclude") if params[name]}}


def _filters(column: dict[str, Any]) -> dict[str, Any]:
    parts = {part["label"]: kql(part["input"]["query"]) for part in column["params"]["filters"]}
    return {"filters": {"filters": parts}}


def _date_histogram(column: dict[str, Any]) -> dict[str, Any]:
    period = column["period"]
    return {
        "date_histogram": {
            "field": column["sourceField"],
            "calendar_interval": column["params"]["interval"],
            "time_zone": ZONE,
            "min_doc_count": 0 if column["params"]["includeEmptyRows"] else 1,
            "extended_bounds": {"min": period.since, "max": period.until},
        }
    }


def _measure(number: str, column: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Documents are counted anyway; only a filter or another measure is an aggregation."""
    if "filter" in column:
        return {f"{number}-bucket": {"filter": kql(column["filter"]["query"])}}
    return {number: made} if made else {}


def _figure(answer: dict[str, Any], number: str, column: dict[str, Any]) -> int:
    if "filter" in column:
        return answer[f"{number}-bucket"]["doc_count"]
    return answer[number]["value"] if column["operationType"] == "unique_count" else answer["doc_count"]


def _key(bucket: dict[str, Any]) -> str:
    """A day in the zone of the request, or the value itself."""
    return bucket["key_as_string"][:10] if "key_as_string" in bucket else bucket["key"]


_METHODS = {
    "terms": _terms,
    "filters": _filters,
    "date_histogram": _date_histogram,
    "count": lambda _: {},
    "unique_count": lambda column: {"cardinality": {"field": column["sourceField"]}},
}
