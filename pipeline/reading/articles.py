"""From a page's bytes to an `Article`: text, declared facts, date with provenance, language. *Pure.*

Does not fetch, does not decide what becomes of the entry, and sets itself no limit of time: pages that cost
too much although they pass the guards are the business of `workers`, which can kill.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import Unparsable
from pipeline.model import Article, Claims, Completeness
from pipeline.naming import may_name
from pipeline.reading import PAGE_CAP, language, metadata
from pipeline.reading.charsets import decode
from pipeline.reading.dates import bounded, parse_date
from pipeline.reading.metadata import Metadata
from pipeline.reading.plaintext import plain

if TYPE_CHECKING:
    from lxml.html import HtmlElement

NO_CLAIMS = Claims()

# Beyond it trafilatura may need more than 10 s (it is quadratic in links, spans and paragraphs); 1 465 real
# pages had at most 19 600 tags, p99 6 100.
MARKUP_LIMIT = 40_000
TAG_LIMIT = 50_000  # characters; a tag with 50 000 attributes costs 7 s, one image in a data URI is harmless
TAG_ATTRIBUTES = 1_000
# Looking for the main text costs resiliparse tags times depth: 11 s for 19 000 elements inside each other.
DEEP_LIMIT = 10_000
LONG_TAG = re.compile(rf"<([a-zA-Z][\w:-]{{0,30}})(\s[^<>]{{{TAG_LIMIT},}})>")
SECOND_OPINION = 0.5  # share of resiliparse's text below which the precise engine missed the article

HTML_TYPES = re.compile(r"text/(?:html|plain|xml)|application/(?:xhtml\+xml|xml|octet-stream)", re.IGNORECASE)
OTHER_FORMATS = re.compile(
    r"\s*(?:%PDF-|PK\x03\x04|\x1f\x8b|.PNG\r|GIF8|[{\[]|(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?"
    r"<(?:rss|feed|urlset|sitemapindex|rdf:RDF|svg)\b)",
    re.DOTALL,
)
BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
BINARY_PLACE = 4_096  # characters
BINARY_LIMIT = 40  # of them; a damaged page has fewer among its markup
URL_DAY = re.compile(r"[/_-]((?:19|20)\d\d)(?:([/-])(\d\d?)\2(\d\d?)|(\d\d)(\d\d))(?=[/._-]|$)")
WALL = re.compile(
    r"\W{0,5}(?:il vous reste [\d.,]+ ?% (?:de cet article )?à (?:lire|découvrir)"
    r"|(?:la )?(?:suite|lecture) (?:de cet article |de l.article )?est réservée? (?:à nos |aux )abonné"
    r"|(?:(?:cet |l.)?article|(?:ce |le )?contenu) (?:est )?(?:exclusivement )?réservé (?:à nos |aux )abonné"
    r"|abonnez-vous pour (?:lire|accéder|continuer)(?!.*(?:gratuit|lettre))|pour lire la suite"
    r"|(?:vous êtes )?déjà abonné)",
    re.IGNORECASE,
)
WALL_LINE = 200  # characters; a longer paragraph that begins like a wall is the article's own
# « À lire aussi : Garanties de sécurité, ce que l'on sait » is another article's topic, not this one's.
ELSEWHERE = re.compile(
    r"\W{0,5}(?:(?:à |a )?(?:re)?lire (?:aussi|également)|(?:à )?(?:voir|écouter) aussi"
    r"|sur le même (?:sujet|thème))\b",
    re.IGNORECASE,
)
LINK_LINE = 300  # characters
GUESSES = frozenset({"htmldate"})  # of undeclared dates it gets one in five wrong
TEXT_DATES = 20  # places read for « Publié le »
TEASER_WORDS = 250  # a paywalled article of fewer words is its beginning


def extract(
    html: bytes | str,
    *,
    url: str,
    fetched_at: datetime,
    claims: Claims = NO_CLAIMS,
    content_type: str = "",
) -> Article:
    """The article on a page that was read at `url`; `fetched_at` (with zone) bounds its dates.

    Raises Unparsable above PAGE_CAP, where `url` is none, and where the bytes are not HTML or hold neither
    text nor title; nothing else, whatever the bytes.
    """
    _check_url(url)
    if len(html) > PAGE_CAP:
        raise Unparsable(f"the page has {len(html):,} bytes, {PAGE_CAP:,} are the most")
    source = _checked(decode(html, content_type=content_type), content_type)
    tree, whole = _parse(source)
    affordable = source.count("<") <= MARKUP_LIMIT
    said = metadata.read(tree, url=url)
    title = said.title or plain(claims.title, metadata.LINE)
    text, engine = _text(source, tree if whole and affordable else None, url, deep=not whole)
    text = tidy(text, title=title)
    if not text and not title:
        raise Unparsable("empty page")
    text, completeness, reason = _complete(text, said, claims)
    lead = said.lead or tidy(claims.summary)
    if completeness is Completeness.SUMMARY:
        lead = ""  # it is the text
    declared = _declared_dates(said, claims, url)
    searched = _searched_dates(tree, fetched_at) if affordable else ()
    published, date_source, suspect = _published([*declared], searched, fetched_at)
    modified = _believable(next(filter(None, map(parse_date, said.modified)), None), fetched_at)
    spoken, confidence = language.detect(_speech(title, lead, text), hints=(said.language, claims.language))
    return Article(
        url=said.canonical if may_name(said.canonical, url) else url,
        title=title,
        lead=lead,
        text=text,
        language=spoken,
        language_confidence=confidence,
        completeness=completeness,
        completeness_reason=reason,
        authors=said.authors or _names(claims),
        section=said.section,
        published=published,
        modified=modified,
        date_source=date_source,
        date_suspect=suspect,
        image=said.image,
        paywalled=said.paywalled,
        engine=engine,
    )


def from_claims(claims: Claims, *, url: str, fetched_at: datetime) -> Article:
    """The article that a feed's title and summary make, where the page could not be read."""
    title, text = plain(claims.title, metadata.LINE), tidy(claims.summary)
    published, suspect = bounded(claims.published, now=fetched_at)
    spoken, confidence = language.detect(_speech(title, "", text), hints=(claims.language,))
    return Article(
        url=url,
        title=title,
        lead="",
        text=text,
        language=spoken,
        language_confidence=confidence,
        completeness=Completeness.SUMMARY if text else Completeness.EMPTY,
        completeness_reason="the page could not be read",
        authors=_names(claims),
        published=published,
        modified=_believable(claims.updated, fetched_at),
        date_source="feed" if published else "",
        date_suspect=suspect,
        engine="feed",
    )


def _names(claims: Claims) -> tuple[str, ...]:
    """The feed's authors, their bylines read as those of pages; what is no byline stays as it is."""
    names = (name for said in claims.authors for name in metadata.persons(said) or [said])
    return tuple(dict.fromkeys(names))


# ---- text -------------------------------------------------------------------------------------------


def _check_url(url: str) -> None:
    try:
        urlsplit(url)
    except ValueError as error:
        raise Unparsable(f"no URL: {plain(url, metadata.ADDRESS)} ({error})") from error


def _checked(source: str, content_type: str) -> str:
    """The page's characters, without tags that no browser would be sent; Unparsable where it is no HTML."""
    kind = content_type.partition(";")[0].strip()
    if kind and not HTML_TYPES.fullmatch(kind):
        raise Unparsable(f"no HTML: {plain(kind, 80)}")
    if len(BINARY.findall(source, 0, BINARY_PLACE)) > BINARY_LIMIT:
        raise Unparsable("no HTML: binary data")
    if not source.strip():
        raise Unparsable("empty page")
    if OTHER_FORMATS.match(source) or not re.search("<[a-zA-Z!]", source):
        raise Unparsable("no HTML")
    return LONG_TAG.sub(_shortened, source.replace("\x00", ""))


def _shortened(tag: re.Match[str]) -> str:
    return f"<{tag[1]}>" if tag[2].count("=") > TAG_ATTRIBUTES else tag[0]


def _parse(source: str) -> tuple["HtmlElement", bool]:
    """The page's tree, and whether it is whole: libxml2 drops what is nested more than 254 deep."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", collect_ids=False, remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(source.encode("utf-8", "replace"), parser=parser)
    except AssertionError as error:  # of lxml, on documents without a root
        raise Unparsable("empty page") from error
    except etree.LxmlError as error:  # also where libxml2 finds no memory
        raise Unparsable(f"the page cannot be parsed: {error}") from error
    return tree, "Excessive depth" not in str(parser.error_log)


def _text(source: str, tree: "HtmlElement | None", url: str, *, deep: bool) -> tuple[str, str]:
    """The article's text and what found it: the precise engine, else its default, else the tolerant one.

    Without a tree only the last is left. Of a page that is nested beyond reason it takes all the text: that
    costs no more than the page's length.
    """
    bottomless = deep and source.count("<") > DEEP_LIMIT
    second = "" if bottomless else _resiliparse(source, main=True)
    if tree is None:
        return second or _resiliparse(source, main=False), _engine("resiliparse")
    text = _trafilatura(tree, url, precise=True)
    if len(text) < SECOND_OPINION * len(second):
        text = _trafilatura(tree, url, precise=False) or text
    return (text, _engine("trafilatura")) if text else (second, _engine("resiliparse"))


def _trafilatura(tree: "HtmlElement", url: str, *, precise: bool) -> str:
    from trafilatura import extract as read

    try:
        return read(tree, url=url, include_comments=False, fast=precise, favor_precision=precise) or ""
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever it stumbles over, the second opinion stands
        return ""


def _resiliparse(source: str, *, main: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLParserException

    try:
        return str(
            extract_plain_text(
                source, main_content=main, alt_texts=False, links=False, form_fields=False, comments=False
            )
        )
    except HTMLParserException as error:
        raise Unparsable(f"the page cannot be parsed: {error}") from error


@cache
def _engine(name: str) -> str:
    return f"{name} {version(name)}"


def tidy(text: str, *, title: str = "") -> str:
    """Clean paragraphs separated by one newline; no repetitions, title on top or links to other articles."""
    lines = (plain(line, PAGE_CAP) for line in text.splitlines())
    paragraphs = [line for line in lines if line and not (len(line) <= LINK_LINE and ELSEWHERE.match(line))]
    if title and paragraphs and metadata.squash(paragraphs[0]) == metadata.squash(title):
        del paragraphs[0]
    return "\n".join(p for p, before in zip(paragraphs, ["", *paragraphs], strict=False) if p != before)


def _complete(text: str, said: Metadata, claims: Claims) -> tuple[str, Completeness, str]:
    """The text to keep, how much of the article it is, and why it is not all."""
    summary = max(tidy(claims.summary), said.lead, key=len)
    if not text:
        found = Completeness.SUMMARY if summary else Completeness.EMPTY
        return summary, found, "no text on the page"
    if len(text) < len(tidy(claims.summary)):
        return tidy(claims.summary), Completeness.SUMMARY, "the page says less than the feed"
    if said.paywalled is not False and (before := _before_wall(text)) is not None:
        return before or text, Completeness.TEASER, "the text ends at a paywall"
    if said.paywalled and len(text.split()) < TEASER_WORDS:
        return text, Completeness.TEASER, "paywalled and short"
    return text, Completeness.FULL, ""


def _before_wall(text: str) -> str | None:
    """The text before a short paragraph that begins like a wall, if one short one follows at most."""
    paragraphs = text.split("\n")
    for at in range(max(0, len(paragraphs) - 2), len(paragraphs)):
        if WALL.match(paragraphs[at]) and all(len(line) <= WALL_LINE for line in paragraphs[at:]):
            return "\n".join(paragraphs[:at])
    return None


def _speech(title: str, lead: str, text: str) -> str:
    """What is shown to the language detector: the text, with title and lead where it is short."""
    return text if len(text) >= language.SAMPLE else "\n".join(filter(None, (text, lead, title)))


# ---- address and dates ------------------------------------------------------------------------------


def _published(
    declared: list[tuple[str, datetime]], searched: Iterable[tuple[str, datetime]], now: datetime
) -> tuple[datetime | None, str, bool]:
    """When the article appeared, who says so, and whether that is doubtful.

    The first declared date within bounds counts; if all are out of bounds, the first is kept as suspect. Only
    where none is declared the page is searched.
    """
    for source, value in declared or searched:
        date, suspect = bounded(value, now=now)
        if date and not suspect:
            return date, source, source in GUESSES
    if not declared:
        return None, "", False
    source, value = declared[0]
    date, _ = bounded(value, now=now)
    return date, source if date else "", True


def _believable(date: datetime | None, now: datetime) -> datetime | None:
    """The date, unless it lies in the future or before the Web: there is no flag that could say so."""
    value, suspect = bounded(date, now=now)
    return None if suspect else value


def _declared_dates(said: Metadata, claims: Claims, url: str) -> Iterator[tuple[str, datetime]]:
    for source, written in said.published:
        if value := parse_date(written):
            yield source, value
    if claims.published:
        yield "feed", claims.published
    for year, _, *rest in URL_DAY.findall(urlsplit(url).path):
        if value := parse_date("-".join([year, *filter(None, rest)])):
            yield "url", value


def _searched_dates(tree: "HtmlElement", now: datetime) -> Iterator[tuple[str, datetime]]:
    for said in islice(metadata.dates_in_text(tree), TEXT_DATES):
        if value := parse_date(said):
            yield "text", value
    if value := _htmldate(tree, now):
        yield "htmldate", value


def _htmldate(tree: "HtmlElement", fetched_at: datetime) -> datetime | None:
    from htmldate import find_date

    try:
        found = find_date(
            tree, extensive_search=False, original_date=True, max_date=fetched_at.replace(tzinfo=None)
        )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a date it cannot read is no date
        return None
    return parse_date(found) if found else None
