"""Rules that all saved objects and their parts share: closed lists of names, fields of our index. *Pure.*

Knows only the names and types of fields, not what they are for: docs/fields.md says that.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.kibana.lens import Json

COUNTABLE = {"keyword", "boolean", "date", "ip", "byte", "short", "integer", "long", "float", "double"} | {
    "half_float",
    "scaled_float",
    "unsigned_long",
}

Fields = Mapping[str, str]  # the type of every field of the index, by its dotted name
_KQL_FIELD = re.compile(r"(?:^|[\s(])([@\w][\w.]*)\s*(?::|[<>]=?)")


def fields_of(properties: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """The fields of a mapping's `properties`, those inside objects and beside a field among them."""
    found: dict[str, str] = {}
    for name, mapped in properties.items():
        here = f"{above}{name}"
        if "properties" in mapped:
            found |= fields_of(mapped["properties"], f"{here}.")
        else:
            found[here] = mapped["type"]
        found |= fields_of(mapped.get("fields", {}), f"{here}.")
    return found


def names(what: str, found: set[str], allowed: set[str], needed: set[str]) -> Iterator[str]:
    """What is wrong with a list of names, of which some are allowed and some are needed."""
    if unknown := found - allowed:
        yield f"{what}: Kibana knows no {', '.join(sorted(unknown))}"
    if lacking := needed - found:
        yield f"{what}: {', '.join(sorted(lacking))} is missing"


def kql(query: Json, fields: Fields) -> Iterator[str]:
    """What is wrong with a query in Kibana's language."""
    if query.get("language") != "kuery":
        yield f"query language {query.get('language')} is not kuery"
    outside_quotes = re.sub(r'"(?:\\.|[^"\\])*"', '""', query.get("query", ""))
    for name in _KQL_FIELD.findall(outside_quotes):
        yield from field(name, fields)


def field(name: str, fields: Fields) -> Iterator[str]:
    """What is wrong with a field that is shown."""
    if name not in fields:
        yield f"the index has no field {name}"


def countable(name: str, fields: Fields) -> Iterator[str]:
    """What is wrong with a field that is counted or sorted."""
    yield from field(name, fields)
    if fields.get(name, "keyword") not in COUNTABLE:
        yield f"{name} is {fields[name]}, which cannot be counted or sorted"
