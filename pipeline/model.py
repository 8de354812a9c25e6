"""The nouns of Veille: frozen values that the other modules pass along. *Pure.*

Does not know how anything is fetched, stored or searched.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """Where an entry stands on its way."""

    FETCH = "fetch"
    EXTRACT = "extract"
    DEDUPLICATE = "deduplicate"
    TAG = "tag"
    DONE = "done"


class Outcome(StrEnum):
    """What an entry did to the library: a closed list, each entry ends in exactly one."""

    NEW = "new"
    REVISED = "revised"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"  # the same article under another URL
    NOT_FRENCH = "not_french"  # kept with its language; not compared, tagged or indexed
    NOT_ARTICLE = "not_article"
    FAILED = "failed"  # gave up; the reason is stored


class PageFate(StrEnum):
    """What became of the page behind an entry."""

    FULL = "full"
    TEASER = "teaser"
    ROBOTS = "robots"
    ADDRESS_REFUSED = "address_refused"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    TOO_LARGE = "too_large"
    TIMED_OUT = "timed_out"
    UNPARSABLE = "unparsable"
    NOT_FETCHED = "not_fetched"


class Completeness(StrEnum):
    """How much of the article its text holds."""

    FULL = "full"
    TEASER = "teaser"
    SUMMARY = "summary"  # from the feed: the page could not be read
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One item of a feed, as the feed says it, cleaned of markup and control characters."""

    url: str  # absolute, as published
    canonical_url: str
    guid: str = ""
    title: str = ""
    summary: str = ""
    published: datetime | None = None  # with time zone
    updated: datetime | None = None
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """A parsed feed. `format` is rss, atom, rdf or json; `broken` says what was wrong, or is empty."""

    format: str
    entries: tuple[FeedEntry, ...]
    title: str = ""
    language: str = ""
    broken: str = ""
    without_link: int = 0  # items that carried no usable link: reported, never dropped in silence
    entries_truncated: int = 0  # items beyond the newest 2 000


@dataclass(frozen=True, slots=True)
class Claims:
    """What sources say of an article before its page is read: evidence, not truth."""

    title: str = ""
    summary: str = ""
    published: datetime | None = None
    updated: datetime | None = None
    authors: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """What was read from a page, or from a feed's summary where the page could not be read."""

    url: str  # the page's own canonical URL where it can be trusted, else the URL that was read
    title: str
    lead: str
    text: str  # paragraphs separated by one newline
    language: str  # ISO 639-1 or -3, "und" where nothing can be said
    completeness: Completeness
    language_confidence: float = 0.0
    completeness_reason: str = ""
    authors: tuple[str, ...] = ()
    section: str = ""
    published: datetime | None = None
    modified: datetime | None = None
    date_source: str = ""  # json-ld, meta, time, feed, url, text, htmldate; empty without a date
    date_suspect: bool = False
    image: str = ""
    paywalled: bool | None = None  # None: the page does not say
    engine: str = ""  # what read it, with version


@dataclass(frozen=True, slots=True)
class Key:
    """One of the names by which an article is known. Two articles never share a key."""

    kind: str  # url, canonical, id, guid, text
    value: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much text two articles share, by exact shingles."""

    relation: str  # same, copy, none
    jaccard: float
    containment_ab: float  # share of a that stands in b
    containment_ba: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One piece of evidence for a topic, with its place and what it contributed to the score."""

    group: str
    term: str
    field: str  # title, lead, text
    start: int  # character offsets into that field
    end: int
    points: float
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A topic that an article carries. The points of its hits add up to its score."""

    topic: str
    version: int
    score: float
    confidence: float
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What an index gets: one article with all that can be searched, filtered and shown."""

    id: str
    version: int  # grows with every save; an index never replaces a document by an older version
    url: str
    title: str
    lead: str
    text: str
    publisher: str  # id
    publisher_name: str
    family: str
    country: str
    language: str
    first_seen: datetime
    published: datetime | None = None
    modified: datetime | None = None
    date_suspect: bool = False
    section: str = ""
    authors: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    topic_scores: tuple[float, ...] = ()
    copy_of: str = ""  # id of the article it copies
    copies: int = 0
    copied_share: float = 0.0
    revision: int = 1
    words: int = 0
    completeness: str = ""
    image: str = ""
    paywalled: bool | None = None
    extra: tuple[tuple[str, str], ...] = ()  # what has no field of its own, by name


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A document that is no more since `version`. Without `first_seen` an index looks for it everywhere."""

    id: str
    version: int
    first_seen: datetime | None = None
