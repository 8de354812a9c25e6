"""What a page declares about its article: JSON-LD, meta tags, microdata, visible marks, in one pass. *Pure.*

Does not read the article's text (`articles`), and neither turns dates into moments nor judges them (`dates`):
it hands over what the page says, best evidence first, and where it stood.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from pipeline.reading import jsonld
from pipeline.reading.jsonld import Node, flat, named
from pipeline.reading.plaintext import plain

if TYPE_CHECKING:
    from lxml.html import HtmlElement

LINE = 1_000  # characters of a title, a name, a section; feeds' titles have the same limit
LEAD = 5_000
ADDRESS = 2_048
COLLECTED = 50  # elements of one kind: what speaks of the article stands among the first few
PIECES = 1_000  # text nodes read of one element: an unclosed h1 holds the whole page

ALIKE = 0.4  # share of common words from which two titles of a page are the same title
LONG_NAME = 5  # letters from which a site's name is recognised inside a longer one (« Le Figaro Santé »)
# That it must fill of the longer one: « Le Monde entier regarde » is not the name of Le Monde
NAME_SHARE = 0.5
NAME = range(2, 61)  # characters of an author
NAME_WORDS = 6

# In the order of trust: the press's own tags first, then those of libraries, blogs and analytics.
PUBLISHED_TAGS = (
    "article:published_time",
    "og:article:published_time",
    "og:published_time",
    "article:published",
    "datepublished",
    "publication_date",
    "pubdate",
    "publishdate",
    "publish-date",
    "article.published",
    "parsely-pub-date",
    "sailthru.date",
    "cxenseparse:recs:publishtime",
    "dc.date.issued",
    "dcterms.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "dcterms.date",
    "citation_publication_date",
    "date",
    "datecreated",
)
MODIFIED_TAGS = ("article:modified_time", "og:article:modified_time", "og:updated_time", "datemodified")
AUTHOR_TAGS = ("author", "article:author", "og:article:author", "dc.creator", "parsely-author", "byl")
TIERS = {"free": False, "locked": True, "metered": True}  # Facebook's content_tier
PUBLISHED_WORDS = re.compile(
    r"^\W{0,5}(?:article )?(?:(?:mise? à jour|modifiée?|actualisée?|updated)\b[^\n]{0,60}\W)??"
    r"(?P<word>publiée?|mise? en ligne|postée?|parue?|published|posted)\b(?! dans| par)",
    re.IGNORECASE,
)
DATE_SPAN = 80  # characters from such a word to the end of its date
SILENT = frozenset({"script", "style", "noscript", "a"})  # links lead to other articles
BYLINE = re.compile(
    r"\A\s*(?:(?:(?:(?:article|texte|récit)\s+)?(?:rédigé|écrit|publié)\s+|propos\s+recueillis\s+)?par|by|texte|avec)"
    r"\s*:?\s+",
    re.IGNORECASE,
)
BETWEEN_NAMES = re.compile(r"\s*[,;/|&•]\s*|\s+(?:et|avec|and|with)\s+")
NOT_IN_NAMES = re.compile(r"@|:|www\.|\d{3}")  # a colon: « Photos : Luc Ba », an address
CUT = re.compile(r"(.{20,}?)\s*(?:…|\.\.\.|\((?:…|\.\.\.)\)|\[(?:…|\.\.\.)\])")
LAST_PART = re.compile(r"(.*\S)\s+[-|–—•·]\s+(\S.*?)", re.DOTALL)
FIRST_PART = re.compile(r"(\S.*?)\s+[-|–—•·]\s+(\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the page says. Texts are cleaned of markup; dates are as written, in order of trust."""

    title: str = ""
    lead: str = ""
    authors: tuple[str, ...] = ()
    section: str = ""
    image: str = ""
    canonical: str = ""  # absolute, not yet judged
    language: str = ""
    paywalled: bool | None = None
    published: tuple[tuple[str, str], ...] = ()  # (json-ld | meta | time, the date as written)
    modified: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Marks:
    """What can say something, collected in one walk over the tree."""

    meta: dict[str, list[str]]
    items: dict[str, list["HtmlElement"]]  # microdata, by property
    nodes: list[Node]  # JSON-LD, the article's own first
    links: dict[str, str]  # by relation
    headings: list[str]
    times: list["HtmlElement"]
    title: str

    def tag(self, *names: str) -> str:
        """The first meta tag of these that says something."""
        return next((value for name in names for value in self.meta.get(name, ()) if value), "")

    def property(self, *names: str) -> Iterator[Any]:
        """The JSON-LD values of these names, those of the article's own node first."""
        for node in self.nodes:
            yield from (node[name] for name in names if node.get(name) not in (None, "", [], {}))

    def item(self, name: str) -> Iterator[str]:
        """The microdata values of this name."""
        return (said for element in self.items.get(name, ()) if (said := _said(element)))


def read(tree: "HtmlElement", *, url: str) -> Metadata:
    """What the page at `url` says of its article. Never raises, on any tree."""
    marks = _collect(tree, url)
    return Metadata(
        title=_title(marks, url),
        lead=_lead(marks),
        authors=_authors(tree, marks),
        section=_section(marks),
        image=_image(marks, url),
        canonical=_absolute(marks.links.get("canonical") or marks.tag("og:url"), url),
        language=_language(tree, marks),
        paywalled=_paywalled(marks),
        published=tuple(_published(marks)),
        modified=tuple(_modified(marks)),
    )


# ---- one walk ---------------------------------------------------------------------------------------


def _collect(tree: "HtmlElement", url: str) -> _Marks:
    found: dict[str, list[HtmlElement]] = defaultdict(list)
    for element in tree.iter("meta", "link", "script", "title", "h1", "time"):
        found[str(element.tag)].append(element)
    meta = _meta(found["meta"])
    title = next(map(_text, found["title"]), "")
    scripts = (e.text or "" for e in found["script"] if "ld+json" in (e.get("type") or "").lower())
    nodes = [node for script in islice(scripts, COLLECTED) for node in jsonld.nodes(script)]
    links = {
        relation: link.get("href") or ""
        for link in reversed(found["link"])  # the first of each relation counts
        for relation in (link.get("rel") or "").lower().split()
    }
    return _Marks(
        meta=meta,
        items=_items(tree),
        nodes=jsonld.own(nodes, url, " ".join(meta.get("og:title", [])[:1]) or title),
        links=links,
        headings=[text for heading in found["h1"][:COLLECTED] if (text := _text(heading))],
        times=found["time"][:COLLECTED],
        title=title,
    )


def _meta(elements: Iterable["HtmlElement"]) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = defaultdict(list)
    for element in elements:
        names = (element.get(key) for key in ("property", "name", "itemprop", "http-equiv"))
        values = tags[next(filter(None, names), "").strip().lower()]
        if len(values) < COLLECTED:
            values.append(plain(element.get("content") or "", LEAD))
    return tags


def _items(tree: "HtmlElement") -> dict[str, list["HtmlElement"]]:
    items: dict[str, list[HtmlElement]] = defaultdict(list)
    for element in tree.xpath("//*[@itemprop]"):
        for name in element.get("itemprop").lower().split()[:10]:
            if len(items[name]) < COLLECTED:
                items[name].append(element)
    return items


def _text(element: "HtmlElement", limit: int = LINE) -> str:
    return plain(" ".join(islice(element.itertext(), PIECES)), limit)


def _said(element: "HtmlElement") -> str:
    """What a piece of microdata or a time element says: to machines where it can, else to readers."""
    return plain(element.get("datetime") or element.get("content") or "", LINE) or _text(element)


# ---- title ------------------------------------------------------------------------------------------


def _title(marks: _Marks, url: str) -> str:
    """The headline, unless nothing on the page agrees with it: then the title it shows elsewhere."""
    sites = _sites(marks, url)
    declared = without_site(plain(marks.tag("og:title"), LINE), sites)
    titled = without_site(marks.title or plain(marks.tag("dc.title", "title", "twitter:title"), LINE), sites)
    headlines = (plain(named(value), LINE) for value in marks.property("headline"))
    headline = next(filter(None, headlines), "") or next(marks.item("headline"), "")
    heading = max(marks.headings, key=partial(_alike, headline or declared or titled), default="")
    others = [other for other in (declared, heading, titled) if other]
    if headline and (not others or any(_alike(headline, other) >= ALIKE for other in others)):
        return _whole(headline, others)
    if not declared and heading and (not titled or _alike(heading, titled) >= ALIKE):
        return heading  # not a logo
    return _whole(declared or titled or headline or heading, [heading])


def _whole(title: str, others: Iterable[str]) -> str:
    """The title, or that of the others which goes on where it was cut with « … »."""
    if not (cut := CUT.fullmatch(title)):
        return title
    start = squash(cut[1])
    return next(
        (other for other in others if squash(other).startswith(start) and squash(other) != start), title
    )


def _alike(one: str, other: str) -> float:
    """The share of their words that two titles have in common."""
    a, b = (set(re.findall(r"\w+", title.casefold())) for title in (one, other))
    return len(a & b) / len(a | b) if a | b else 0.0


def without_site(title: str, sites: frozenset[str]) -> str:
    """The title without first and last parts that name the site, apart by - | – — • or ·, never by « : »."""
    while (cut := LAST_PART.fullmatch(title)) and _names_site(squash(cut[2]), sites):
        title = cut[1]
    while (cut := FIRST_PART.fullmatch(title)) and _names_site(squash(cut[1]), sites):
        title = cut[2]
    return title


def _names_site(part: str, sites: frozenset[str]) -> bool:
    return any(
        part == site or (len(site) >= max(LONG_NAME, NAME_SHARE * len(part)) and site in part)
        for site in sites
    )


def _sites(marks: _Marks, url: str) -> frozenset[str]:
    """The names of the site, squashed: as it calls itself, its publisher, and the parts of its host."""
    host = (urlsplit(url).hostname or "").removeprefix("www.")
    said = (
        marks.tag("og:site_name"),
        marks.tag("application-name"),
        *map(named, marks.property("publisher")),
    )
    return frozenset(filter(None, map(squash, (*said, host, *host.split(".")[:-1]))))


def squash(text: str) -> str:
    """Letters and digits alone, without accents and case; what is not Latin stays."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filter(str.isalnum, folded))


# ---- the rest ---------------------------------------------------------------------------------------


def _lead(marks: _Marks) -> str:
    described = (plain(named(value), LEAD) for value in marks.property("description"))
    said = marks.tag("og:description", "description") or next(filter(None, described), "")
    return said or marks.tag("twitter:description", "dc.description")


def _authors(tree: "HtmlElement", marks: _Marks) -> tuple[str, ...]:
    sources: tuple[Iterable[str], ...] = (
        (named(person) for value in marks.property("author", "creator") for person in flat(value)),
        (value for name in AUTHOR_TAGS for value in marks.meta.get(name, ())),
        map(_item_name, marks.items.get("author", ())),
        map(_text, tree.xpath("(//a[@rel='author'])[position() <= 10]")),
    )
    for source in sources:
        if names := tuple(
            dict.fromkeys(name for said in islice(source, COLLECTED) for name in persons(said))
        ):
            return names
    return ()


def persons(byline: str) -> list[str]:
    """The names in a byline: « Par Anne Le Goff et Luc Ba, à Brest » gives two.

    Addresses and roles are left out; agencies and newsrooms (AFP, Le Monde) stay.
    """
    names = BETWEEN_NAMES.split(re.sub(r"\([^)]*\)", " ", BYLINE.sub("", plain(byline, LINE), count=1)))
    return [name.strip() for name in names if _is_name(name.strip())]


def _is_name(name: str) -> bool:
    """Begins like a name and is as short as one; « à Brest » and « correspondant » begin in lower case."""
    if len(name) not in NAME or len(name.split()) > NAME_WORDS or NOT_IN_NAMES.search(name):
        return False
    return not name[0].islower() or name.startswith(("d'", "d’", "de ", "l'", "l’"))


def _item_name(element: "HtmlElement") -> str:
    inner = element.xpath("(.//*[@itemprop='name'])[1]")
    return _said(inner[0] if inner else element)


def _section(marks: _Marks) -> str:
    sections = (plain(named(value), LINE) for value in marks.property("articleSection"))
    said = next(filter(None, sections), "") or marks.tag("article:section", "og:article:section", "section")
    return plain(said, LINE) or next(marks.item("articlesection"), "")


def _image(marks: _Marks, url: str) -> str:
    tags = map(marks.tag, ("og:image:secure_url", "og:image", "twitter:image", "twitter:image:src"))
    declared = (
        named(one, "url", "contentUrl", "@id") for many in marks.property("image") for one in flat(many)
    )
    addresses = (_absolute(said, url) for source in (tags, declared) for said in source)
    return next(filter(None, addresses), "")


def _language(tree: "HtmlElement", marks: _Marks) -> str:
    """The primary language subtag the page claims, in lower case; empty where it claims none."""
    root = tree.getroottree().getroot()
    said = next(filter(None, map(root.get, ("lang", "xml:lang"))), "") or marks.tag(
        "content-language", "og:locale"
    )
    spoken = (named(value, "alternateName") for value in marks.property("inLanguage"))
    found = re.match(r"\s*([a-z]{2,3})(?![a-z])", (said or next(spoken, "")).lower())
    return found[1] if found else ""


def _paywalled(marks: _Marks) -> bool | None:
    said = [*map(str, marks.property("isAccessibleForFree")), *marks.item("isaccessibleforfree")]
    words = (value.strip().lower().rpartition("/")[2] for value in said)
    free = next((word == "true" for word in words if word in {"true", "false"}), None)
    if free is not None:
        return not free
    return TIERS.get(marks.tag("article:content_tier", "og:article:content_tier").lower())


# ---- dates, as written ------------------------------------------------------------------------------


def _published(marks: _Marks) -> Iterator[tuple[str, str]]:
    yield from (("json-ld", named(value)) for value in marks.property("datePublished", "dateCreated"))
    yield from (("meta", value) for name in PUBLISHED_TAGS for value in marks.meta.get(name, ()))
    yield from (("time", _said(e)) for e in marks.items.get("datepublished", ()) if e.tag != "meta")
    yield from (("time", _said(e)) for e in marks.times if _is_publication(e))


def _modified(marks: _Marks) -> Iterator[str]:
    yield from map(named, marks.property("dateModified"))
    yield from (value for name in MODIFIED_TAGS for value in marks.meta.get(name, ()))
    yield from (_said(e) for e in marks.items.get("datemodified", ()) if e.tag != "meta")


def _is_publication(element: "HtmlElement") -> bool:
    """A time element that is marked as the publication's; WordPress also writes « entry-date published »."""
    marked = " ".join(filter(None, map(element.get, ("class", "id", "itemprop")))).lower()
    if "modif" in marked or marked == "updated":
        return False
    return element.get("pubdate") is not None or "publ" in marked or "entry-date" in marked


def dates_in_text(tree: "HtmlElement") -> Iterator[str]:
    """What follows « Publié le » and its like in the visible text, in the page's order."""
    for node in tree.xpath("//body//text()"):
        if (found := PUBLISHED_WORDS.match(node)) and node.getparent().tag not in SILENT:
            element = node.getparent()
            alone = node.is_text and re.search(r"\d{4}", node)
            if not alone and (moment := _moment_beside(element, within=node.is_text)):
                yield moment
            around = element if alone or element.getparent() is None else element.getparent()
            text = _text(around, LEAD)
            yield text[max(0, text.find(found["word"])) :][:DATE_SPAN]


def _moment_beside(element: "HtmlElement", *, within: bool) -> str:
    """What the next time element says to machines, in this element or after it."""
    times = [*(element.iter("time") if within else ()), *element.itersiblings("time")]
    return next(filter(None, (time.get("datetime") for time in times)), "")


def _absolute(said: str, base: str) -> str:
    """The http(s) address that is meant on the page at `base`, or nothing."""
    try:
        found = urljoin(base, said.strip()) if said.strip() else ""
        parts = urlsplit(found)
        plainly = parts.hostname and "@" not in parts.netloc
        usable = parts.scheme in {"http", "https"} and plainly and len(found) <= ADDRESS
    except ValueError:
        return ""
    return found if usable and not re.search(r"[\s<>\"\x00-\x1f]", found) else ""
