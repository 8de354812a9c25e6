"""The JSON-LD of a page (schema.org): the nodes that describe the page's own article, best first. *Pure.*

Does not know which property becomes what: that is `metadata`. Never fails on broken or hostile JSON.
"""

import json
import re
from typing import Any

Node = dict[str, Any]

MOST_NODES = 5_000  # the press's largest graphs have some 400
ARTICLES = frozenset(
    {
        "article",
        "newsarticle",
        "reportagenewsarticle",
        "analysisnewsarticle",
        "opinionnewsarticle",
        "backgroundnewsarticle",
        "reviewnewsarticle",
        "askpublicnewsarticle",
        "satiricalarticle",
        "advertisercontentarticle",
        "scholarlyarticle",
        "techarticle",
        "liveblogposting",
        "blogposting",
        "socialmediaposting",
        "report",
        "review",
    }
)
PAGES = frozenset({"webpage", "itempage", "videoobject", "podcastepisode", "radioepisode", "recipe"})
# Only these lead to the page's own article; hasPart, itemListElement, mentions … lead to its neighbours.
INWARD = ("@graph", "mainEntity", "mainEntityOfPage")
PEOPLE = ("author", "creator", "publisher")
WRAPPING = re.compile(r"\A\s*(?:<!--|(?://\s*)?<!\[CDATA\[)|(?:(?://\s*)?(?:-->|\]\]>)|;)\s*\Z")


def nodes(source: str) -> list[Node]:
    """All nodes of one script that may speak of the page itself; none where the JSON is broken."""
    try:
        todo = [json.loads(WRAPPING.sub("", source), strict=False)]
    except (ValueError, RecursionError):
        return []
    found: list[Node] = []
    while todo and len(found) < MOST_NODES:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(reversed(node[:MOST_NODES]))
        elif isinstance(node, dict):
            found.append(node)
            todo.extend(node[key] for key in reversed(INWARD) if isinstance(node.get(key), dict | list))
    return found


def own(found: list[Node], url: str, title: str) -> list[Node]:
    """The nodes that describe the article at `url` called `title`, articles before pages.

    Where some name this address or title, the others are its neighbours and left out. Persons that are only
    referred to by @id are put in place.
    """
    known = {node["@id"]: node for node in found if isinstance(node.get("@id"), str) and "name" in node}
    described = [node | _people(node, known) for node in found if _types(node) & (ARTICLES | PAGES)]
    here = [node for node in described if _is_here(node, url, title)]
    return sorted(here or described, key=lambda node: not _types(node) & ARTICLES)


def _types(node: Node) -> set[str]:
    return {str(kind).rpartition("/")[2].lower() for kind in flat(node.get("@type"))}


def _is_here(node: Node, url: str, title: str) -> bool:
    urls = (named(node.get(key), "@id", "url") for key in ("url", "mainEntityOfPage", "@id"))
    headline = named(node.get("headline")).casefold().strip()
    return _address(url) in set(map(_address, urls)) or (bool(headline) and headline in title.casefold())


def _people(node: Node, known: dict[str, Node]) -> Node:
    def whole(person: Any) -> Any:
        refers = isinstance(person, dict) and "name" not in person
        return known.get(str(person.get("@id")), person) if refers else person

    return {key: [whole(person) for person in flat(node[key])] for key in PEOPLE if key in node}


def flat(value: Any) -> list[Any]:
    """One value or many, as a list; lists in lists are opened once."""
    if isinstance(value, list):
        return [inner for item in value for inner in (item if isinstance(item, list) else [item])]
    return [] if value is None else [value]


def named(value: Any, *keys: str) -> str:
    """The text of a value that may be a string, a thing with a name (or one of `keys`), or a list of them."""
    value = next(iter(flat(value)), "")
    if isinstance(value, dict):
        inner = (first for key in (keys or ("name",)) for first in flat(value.get(key))[:1])
        value = next(filter(None, inner), "")
    return value if isinstance(value, str) else ""


def _address(url: str) -> str:
    return re.sub(r"^https?://(www\.)?|[?#].*$", "", url.strip().lower()).rstrip("/")
