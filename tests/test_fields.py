"""The fields of the index on a server: as the template has them, and as `docs/fields.md` tells people."""

import json
import re

import pytest
from conftest import ROOT
from engines import Elasticsearch
from invented import NOON, document

from pipeline import query as q
from pipeline.search import Filters, Verdicts
from pipeline.search.elasticsearch import documents, queries
from pipeline.search.elasticsearch.generations import TEMPLATE

TEMPLATE_BODY = json.loads(TEMPLATE.read_text())
UNSORTED = {"text"}  # types that cannot be counted and sorted


def fields(properties, above=""):
    """Every field and sub-field of a mapping, with its type."""
    for name, body in properties.items():
        if "properties" in body:
            yield from fields(body["properties"], f"{above}{name}.")
            continue
        yield above + name, body["type"]
        for sub, of_sub in body.get("fields", {}).items():
            yield f"{above}{name}.{sub}", of_sub["type"]


MAPPED = dict(fields(TEMPLATE_BODY["template"]["mappings"]["properties"]))


def test_every_field_is_documented_and_no_other():
    told = re.findall(
        r"^\| `([^`]+)` \| (\w+) \| (Σ?) ?\|", (ROOT / "docs" / "fields.md").read_text(), re.MULTILINE
    )

    assert {name: kind for name, kind, _ in told} == MAPPED
    assert {name for name, _, counted in told if not counted} == {
        name for name, kind in MAPPED.items() if kind in UNSORTED
    }


def test_what_is_stored_are_fields_of_the_template():
    """Every one of them, for a document that has everything."""
    everything = document(
        "a",
        title="t",
        lead="l",
        text="x",
        family="f",
        authors=("a",),
        section="s",
        topics=("t",),
        topic_scores=(1.0,),
        modified=NOON,
        copy_of="b",
        completeness="full",
        image="https://presse.test/i",
        paywalled=False,
        extra=(("engine", "e"),),
    )
    body = json.loads(documents.body(everything, ingested=NOON))

    def named(values, above=""):
        for name, value in values.items():
            if isinstance(value, dict) and name != "extra":
                yield from named(value, f"{above}{name}.")
            else:
                yield above + name

    top = {name for name in MAPPED if name.rpartition(".")[0] not in MAPPED}
    assert set(named(body)) == top


def test_everything_that_is_asked_are_fields_of_the_template():
    asked = set(sum(queries._PLACES.values(), ())) | set(queries._FACETS.values())

    assert set(queries._PLACES) == set(q.FIELDS)
    assert asked <= MAPPED.keys()


def test_the_template_keeps_what_was_promised():
    """No new fields, at most 150, and deletions that are remembered for longer than a lease."""
    template = TEMPLATE_BODY["template"]
    assert template["mappings"]["dynamic"] == "strict"
    assert template["settings"]["index"]["mapping"]["total_fields"]["limit"] == 150
    assert template["settings"]["index"]["gc_deletes"] == "1h"
    assert template["mappings"]["_meta"]["version"] == TEMPLATE_BODY["version"]
    assert TEMPLATE_BODY["allow_auto_create"] is False


@pytest.mark.elasticsearch
def test_ten_thousand_unknown_keys_leave_the_mapping_as_it_is(elasticsearch_server):
    """They go into one flattened field, and are found there."""
    engine = Elasticsearch(elasticsearch_server)
    index, client = engine.open(), engine.connection().ask
    try:
        index.setup()
        index.finish_rebuild(index.begin_rebuild())
        index.put([document("a", title="gaz")])
        before = client.indices.get_mapping(index=engine.name).body

        keys = tuple((f"key-{i}", f"value-{i}") for i in range(10_000))
        assert index.put([document("b", title="gaz", extra=(*keys, ("long", "x" * 40_000)))]) == Verdicts()

        assert client.indices.get_mapping(index=engine.name).body == before
        index.refresh()
        asked = {"term": {"extra.key-9999": "value-9999"}}
        assert [hit["_id"] for hit in client.search(index=engine.name, query=asked)["hits"]["hits"]] == ["b"]
        assert len(index.search("gaz", filters=Filters(publishers=("presse",))).results) == 2
    finally:
        engine.remove()
    assert len(MAPPED) <= 150
