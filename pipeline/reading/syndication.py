"""The formats of feeds: RSS 0.9x to 2.0, RSS 1.0 (RDF), Atom 0.3 and 1.0, JSON Feed 1 and 1.1. *Pure.*

From bytes to items as the feed says them; nothing is resolved, cleaned or judged here, that is `feeds`.

A well-formed feed in the usual vocabulary is read from one lxml tree. Everything else goes to feedparser, the
authority, and what feedparser cannot read in time goes to lxml's recovering parser.
"""

import io
import json
import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pipeline.errors import Unparsable
from pipeline.reading.charsets import decode

# feedparser needs 30 to 80 µs for each tag or entity of a broken feed: beyond these, 10 s would not do.
LONGEST_FOR_AUTHORITY = 3_000_000  # characters
MOST_FOR_AUTHORITY = 80_000  # tags and entities
# Characters; feedparser seeks e-mail addresses in quadratic time: 800 000 take > 5 minutes
LONGEST_WORD = 300
MOST_READ = 100_000  # items, which take 3 s; a feed of 15 MB can have two million


@dataclass(frozen=True, slots=True)
class Item:
    """One item as the feed says it: nothing resolved, decoded or cleaned. `links`: the best one first."""

    links: tuple[str, ...] = ()
    guid: str = ""
    title: str = ""
    summary: str = ""
    published: str = ""
    updated: str = ""
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A feed as a reader saw it.

    `guid_is_link`: a guid that is a URL leads to the article. `unread`: how many items were left out.
    """

    format: str
    items: list[Item]
    title: str = ""
    language: str = ""
    broken: tuple[str, ...] = ()
    guid_is_link: bool = True
    unread: int = 0


def read(body: bytes, *, content_type: str = "") -> Reading:
    """The items of the feed in `body`. Raises Unparsable, with the reason in plain words, for no feed."""
    text, notes = _characters(body, content_type)
    if not text:
        raise Unparsable("the feed is empty")
    reading = _read_json(text) if text[0] in "{[" else _read_xml(text)
    return replace(reading, broken=(*notes, *reading.broken))


# --- from bytes to a root element

_FORMATS = {"rss": "rss", "channel": "rss", "feed": "atom", "rdf": "rdf"}
_PAGES = frozenset(
    ("html", "head", "body", "div", "script", "meta", "title", "p", "h1", "center", "br", "style")
)
_PROLOG = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*+", re.DOTALL | re.IGNORECASE
)
_ROOT = re.compile(r"<(?:[\w.-]{1,40}:)?([A-Za-z][\w.-]{0,40})")
_LATER_ROOT = re.compile(r"<(rss|feed|rdf)(?::RDF)?[\s>]", re.IGNORECASE)
_JUNK = 65_536  # characters of warnings before the root
_UTF_32 = {b"\0\0\0<": "utf-32-be", b"<\0\0\0": "utf-32-le"}  # without a byte order mark
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]{1,40})|([0-9]{1,40}));")
# What XML 1.0 calls a character (production 2), as ranges of code points.
_XML_CHARACTERS = (
    range(9, 11),
    range(13, 14),
    range(0x20, 0xD800),
    range(0xE000, 0xFFFE),
    range(0x10000, 0x110000),
)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _characters(body: bytes, content_type: str) -> tuple[str, list[str]]:
    """The characters of the body, and what was wrong with them."""
    notes = []
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text[:200]:  # UTF-16 of ASCII text is valid UTF-8
        wide = _UTF_32.get(body[:4])
        text = body.decode(wide, "replace") if wide else decode(body, content_type=content_type)
        if "\ufffd" in text:
            notes.append("some bytes could not be decoded")
    return text.strip("\ufeff \t\r\n"), notes


def _root(text: str) -> tuple[str, str, list[str]]:
    """The feed's format, its text from the root element on, and what stood before it.

    The prolog goes for good: its declaration has been obeyed, and a DOCTYPE only brings entities, which are
    bombs where they are not those of HTML.
    """
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    root = _ROOT.match(text, start)
    name = root[1].lower() if root else ""
    if name in _FORMATS:
        return _FORMATS[name], text[start:], ["entity declarations"] if "<!ENTITY" in text[:start] else []
    later = None if name == "html" else _LATER_ROOT.search(text, 0, _JUNK)
    if later:
        return _FORMATS[later[1].lower()], text[later.start() :], ["junk before the feed"]
    if name in _PAGES or "<!doctype html" in text[:start].lower():
        raise Unparsable("an HTML page, not a feed")
    raise Unparsable(f"an XML document (<{name}>), not a feed" if root else "neither XML nor JSON")


# --- XML

_ATOM = "{http://www.w3.org/2005/Atom}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_FIELDS = {
    "title": "title",
    "link": "link",
    "guid": "guid",
    "description": "summary",
    "{http://purl.org/rss/1.0/modules/content/}encoded": "content",
    "pubDate": "published",
    "author": "author",
    _DC + "creator": "author",
    _DC + "date": "updated",
    "{http://rssnamespace.org/feedburner/ext/1.0}origLink": "original",
    _ATOM + "title": "title",
    _ATOM + "link": "link",
    _ATOM + "id": "guid",
    _ATOM + "summary": "summary",
    _ATOM + "content": "content",
    _ATOM + "published": "published",
    _ATOM + "updated": "updated",
    _ATOM + "author": "author",
}
# The same things under other names or in other namespaces, which feedparser knows: such an item is its own.
_SPOKEN = frozenset(
    {"title", "link", "guid", "id", "origlink", "description", "summary", "abstract", "content", "encoded"}
    | {
        "body",
        "fullitem",
        "tagline",
        "subtitle",
        "pubdate",
        "published",
        "issued",
        "created",
        "modified",
        "updated",
    }
    | {"lastbuilddate", "date", "author", "creator", "contributor", "publisher"}
)
# What stands in there speaks of a picture: feedparser takes its caption for the summary of the article.
_MEDIA_CONTENT = frozenset(
    ("{http://search.yahoo.com/mrss/}content", "{http://search.yahoo.com/mrss}content")
)
_CAPTIONED = re.compile(r"<media:content\b[^<>]*(?<!/)>(?:[^<]|<(?!/?media:content))*+</media:content\s*>")
_TEXT_TYPES = frozenset((None, "text", "html", "text/html", "text/plain"))
_PAGE_TYPES = frozenset(("text/html", "application/xhtml+xml"))
_OPENING = re.compile(r"<(?:\w{1,40}:)?(?:item|entry)[\s>]")
_CLOSING = re.compile(r"</(?:\w{1,40}:)?(?:item|entry)\s*>")
# An ampersand that may not stand in XML, or a CDATA section, where all may.
_AMPERSAND = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)", re.DOTALL
)
_WORD = re.compile(r"[\w.+-]++")
_NO_PERMALINK = re.compile(r"""isPermaLink\s*=\s*["']?[Ff]alse""")


def _read_xml(text: str) -> Reading:
    """The reading of the quickest reader that can be trusted with the text."""
    kind, text, notes = _root(text)
    reading = _read_tree(text, kind) if "xml:base" not in text else None
    if reading is None:
        reading = _read_loosely(text, kind)
    # All items of a feed come from one template: where one guid is not a link, none is.
    guid_is_link = not _NO_PERMALINK.search(text)
    return replace(reading, broken=(*notes, *reading.broken), guid_is_link=guid_is_link)


def _read_loosely(text: str, kind: str) -> Reading:
    """The reading of a feed that is broken, or in unusual words, as far as it goes.

    Of a feed that was cut off, the last item goes: half a link leads nowhere.
    """
    text, controls = _NOT_XML.subn("", text)
    notes = ["control characters"] if controls else []
    starts = [found.start() for found in _OPENING.finditer(text)]
    closed = max((found.start() for found in _CLOSING.finditer(text)), default=-1)
    if starts and starts[-1] > closed and (closed >= 0 or len(starts) == 1):
        text = text[: starts.pop()]
        notes.append("cut off in the middle of an item")
    marks = text.count("<") + text.count("&")
    short = len(text) <= LONGEST_FOR_AUTHORITY and marks <= MOST_FOR_AUTHORITY
    harmless = short and all(len(word[0]) <= LONGEST_WORD for word in _WORD.finditer(text))
    reading = _read_with_authority(text, kind) if harmless else None
    if reading is None or len(reading.items) < len(starts):
        other = _read_tree(_REFERENCE.sub(_allowed, _AMPERSAND.sub(_escaped, text)), kind, recover=True)
        if other and (reading is None or len(other.items) + other.unread > len(reading.items)):
            reading = other
    if reading is None:
        raise Unparsable("no element of it can be read")
    return replace(reading, broken=(*notes, *reading.broken))


def _allowed(found: re.Match[str]) -> str:
    """A numeric reference as it is, unless XML knows no such character: lxml would hand on half a pair."""
    code = int(found[1], 16) if found[1] else int(found[2])
    return found[0] if any(code in characters for characters in _XML_CHARACTERS) else "\ufffd"


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0] != "&" else "&amp;"


def _read_tree(text: str, kind: str, *, recover: bool = False) -> Reading | None:
    """What lxml's parser sees. None: not well-formed, or in words that feedparser may know better.

    With `recover` it sees what it can, and always says so.
    """
    from lxml import etree

    parser = etree.XMLParser(
        recover=recover,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    if root is None:
        return None
    elements = root.iter("{*}item", "{*}entry")
    items = [_tree_item(element, kind, recover=recover) for element in islice(elements, MOST_READ)]
    unread = sum(1 for _ in elements)
    feed = root if kind == "atom" else root.find("channel")
    feed = root if feed is None else feed
    heading = feed.find(_ATOM + "title" if kind == "atom" else "title")
    title = "" if heading is None else _value(heading, recover=recover)
    if not recover:
        placed = feed.findall(_ATOM + "entry" if kind == "atom" else "item")
        if (
            None in items
            or len(placed) != len(items) + unread
            or not title
            or root.tag not in ("rss", _ATOM + "feed")
        ):
            return None
    return Reading(
        kind,
        [item for item in items if item],
        title=title or "",
        language=feed.findtext("language") or feed.findtext(_DC + "language") or root.get(_LANG) or "",
        broken=("not well-formed XML, read by the recovering parser",) if recover else (),
        unread=unread,
    )


def _tree_item(element: Any, kind: str, *, recover: bool) -> Item | None:
    """The item in an element, or None if feedparser may see more in it."""
    said: dict[str, list[str]] = {}
    for child in element:
        field = _FIELDS.get(child.tag)
        if field:
            value = _value(child, recover=recover)
            if value is None:
                return None
            said.setdefault(field, []).append(value)
        elif isinstance(child.tag, str):  # anything else is an entity that nobody declared
            unknown = len(child) or child.tag.rpartition("}")[2].lower() in _SPOKEN
            if unknown and not recover and child.tag not in _MEDIA_CONTENT:
                return None
    repeated = any(len(values) > 1 for field, values in said.items() if field != "author")
    return None if repeated and not recover else _item(kind, said)


def _value(child: Any, *, recover: bool) -> str | None:
    """The text of a field's element; None if it holds elements or is coded, which is for feedparser."""
    if child.tag == _ATOM + "link":
        page = child.get("rel", "alternate") == "alternate" and child.get("type", "text/html") in _PAGE_TYPES
        return str(child.get("href", "")) if page else ""
    if child.tag == _ATOM + "author":
        return str(child.findtext(_ATOM + "name", ""))
    if recover:
        return "".join(child.itertext())
    return None if len(child) or child.get("type") not in _TEXT_TYPES else str(child.text or "")


def _item(kind: str, said: dict[str, list[str]]) -> Item:
    first = {field: next(filter(None, values), "") for field, values in said.items()}
    updated = first.get("updated", "")
    return Item(
        links=tuple(first[field] for field in ("original", "link") if first.get(field)),
        guid=first.get("guid", ""),
        title=first.get("title", ""),
        summary=first.get("summary", "").strip() or first.get("content", ""),
        # dc:date is all that RSS 1.0 has; Atom's "updated" says nothing about the publication
        published=first.get("published", "") or (updated if kind != "atom" else ""),
        updated=updated,
        authors=tuple(said.get("author", ())),
    )


def _read_with_authority(text: str, kind: str) -> Reading | None:
    """What feedparser sees; None if it stumbles."""
    import feedparser

    try:
        result = feedparser.parse(
            io.BytesIO(_CAPTIONED.sub("", text).encode("utf-8", "replace")),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception:  # noqa: BLE001 - feedparser trips over hostile input in many ways; another reader is next
        return None
    fault = " ".join(str(result.get("bozo_exception", "")).split()).rpartition(": ")[2][:200]
    return Reading(
        kind,
        [_item(kind, _said(entry)) for entry in result["entries"]],
        title=_get(result["feed"], "title"),
        language=_get(result["feed"], "language"),
        broken=(f"not well-formed XML ({fault})",) if result["bozo"] else (),
    )


def _said(entry: dict[str, Any]) -> dict[str, list[str]]:
    """A feedparser entry in the words of `_FIELDS`."""
    content = dict.get(entry, "content") or [{}]
    guid = _get(entry, "id")
    link = _get(entry, "link")  # which feedparser takes from the guid where there is none
    authors = [_get(author, "name") for author in dict.get(entry, "authors") or ()]
    return {
        "original": [_get(entry, "feedburner_origlink")],
        "link": [link if link != guid or dict.get(entry, "links") else ""],
        "guid": [guid],
        "title": [_get(entry, "title")],
        "summary": [_get(entry, "summary")],
        "content": [_get(content[0], "value")],
        "published": [_get(entry, "published") or _get(entry, "created")],
        "updated": [_get(entry, "updated")],
        "author": [name for name in authors if name] or [_get(entry, "author")],
    }


def _get(holder: dict[str, Any], key: str) -> str:
    """A text of feedparser's, past its aliases: they take an update for a publication and warn about it."""
    value = dict.get(holder, key)
    return value if isinstance(value, str) else ""


# --- JSON


def _read_json(text: str) -> Reading:
    try:
        feed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unparsable("broken JSON, not a feed") from error
    if not isinstance(feed, dict) or not isinstance(feed.get("items"), list):
        raise Unparsable("a JSON document without items, not a feed")
    return Reading(
        "json",
        [_json_item(item) for item in feed["items"] if isinstance(item, dict)],
        title=_text(feed, "title"),
        language=_text(feed, "language"),
        broken=() if "jsonfeed.org" in _text(feed, "version") else ("does not name its version",),
    )


def _json_item(item: dict[str, Any]) -> Item:
    several = item.get("authors")
    authors = several if isinstance(several, list) else [item.get("author")]
    return Item(
        links=tuple(filter(None, (_text(item, "url"), _text(item, "external_url")))),
        guid=_text(item, "id"),
        title=_text(item, "title"),
        summary=_text(item, "summary") or _text(item, "content_text") or _text(item, "content_html"),
        published=_text(item, "date_published"),
        updated=_text(item, "date_modified"),
        authors=tuple(_text(author, "name") for author in authors if isinstance(author, dict)),
    )


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return str(value) if isinstance(value, str | int) else ""
