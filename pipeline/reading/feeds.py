"""From the bytes of a feed to its entries: links chosen and made absolute, text cleaned, dates read. *Pure.*

Does not fetch, does not decide when a feed is due, and does not judge dates against the present
(`dates.bounded` does). The formats are `syndication`'s.
"""

import hashlib
import heapq
import re
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from pipeline.errors import Permanent
from pipeline.model import Feed, FeedEntry
from pipeline.reading.dates import parse_date
from pipeline.reading.plaintext import plain
from pipeline.reading.syndication import Item, read
from pipeline.urls import canonical

MOST_ENTRIES = 2_000  # French press feeds have 16 to 300 items; Media Cloud stops at 2 000 too
LONGEST_TITLE = 1_000  # characters
LONGEST_SUMMARY = 10_000
LONGEST_NAME = 200
LONGEST_GUID = 1_000  # a longer one names nothing; an index row of PostgreSQL takes 2 700 bytes

_Dated = tuple[datetime | None, datetime | None, Item]  # published, updated, item


def parse(body: bytes, *, url: str, content_type: str = "") -> Feed:
    """The feed in `body`, which was fetched from `url` with the header `content_type`.

    Broken feeds are read as far as they go, and `Feed.broken` says what was wrong. Of more than 2 000 entries
    the newest are kept. Entries without a usable link are counted, not returned. Raises Unparsable, with the
    reason in plain words, for what is no feed.
    """
    reading = read(body, content_type=content_type)
    dated = [(parse_date(item.published), parse_date(item.updated), item) for item in reading.items]
    newest = _newest(dated)
    entries = [
        entry for item in newest if (entry := _entry(item, url=url, guid_is_link=reading.guid_is_link))
    ]
    return Feed(
        format=reading.format,
        entries=tuple(entries),
        title=plain(reading.title, LONGEST_TITLE),
        language=plain(reading.language, 35).replace(
            "_", "-"
        ),  # the longest tag that RFC 5646 asks to be ready for
        broken="; ".join(reading.broken),
        without_link=len(newest) - len(entries),
        entries_truncated=len(dated) - len(newest) + reading.unread,
    )


# --- unchanged feeds

_FIRST_ITEM = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s>]")
_LAST_ITEM = re.compile(rb"</(?:\w+:)?(?:item|entry)\s*>")
_NOISE = re.compile(
    rb"<((?:\w+:)?(?:lastBuildDate|pubDate|ttl|updated|modified|date))\b[^<>]*>[^<>]*</\1\s*>|<!--.*?(?:-->|\Z)",
    re.DOTALL,
)


def digest(body: bytes) -> str:
    """A name for what the feed lists: two bodies that differ only in the channel's own dates share it.

    Publishers rewrite lastBuildDate at every request: of 180 feeds seen 8 hours apart none was the same byte
    for byte, and more than a third are without these dates. Comments outside the items go too: caches write
    the time there.
    """
    first = _FIRST_ITEM.search(body)
    start = first.start() if first else len(body)
    end = max((found.end() for found in _LAST_ITEM.finditer(body, start)), default=start)
    kept = _NOISE.sub(b"", body[:start]) + body[start:end] + _NOISE.sub(b"", body[end:])
    return hashlib.blake2b(kept, digest_size=16).hexdigest()


# --- entries

_EMAIL = re.compile(r"[(<]?(?:mailto:)?[^\s()<>@]+@[^\s()<>]+[)>]?")


def _newest(dated: list[_Dated]) -> list[_Dated]:
    """The newest 2 000 in the feed's order; among equals, and among those without a date, the first."""
    if len(dated) <= MOST_ENTRIES:
        return dated

    def age(index: int) -> tuple[datetime, int]:
        published, updated, _ = dated[index]
        return published or updated or datetime.min.replace(tzinfo=UTC), -index

    return [dated[index] for index in sorted(heapq.nlargest(MOST_ENTRIES, range(len(dated)), key=age))]


def _entry(dated: _Dated, *, url: str, guid_is_link: bool) -> FeedEntry | None:
    """The entry that an item makes; None if it has no usable link."""
    published, updated, item = dated
    guid = "".join(filter(str.isprintable, item.guid)).strip()
    permalink = (guid,) if guid_is_link and guid.startswith(("https://", "http://")) else ()
    for link in (*item.links, *permalink):
        address = _address(link, url)
        if not address:
            continue
        try:
            name = canonical(address)
        except Permanent:
            continue
        return FeedEntry(
            url=address,
            canonical_url=name,
            guid=guid if len(guid) <= LONGEST_GUID else "",
            title=plain(item.title, LONGEST_TITLE),
            summary=plain(item.summary, LONGEST_SUMMARY),
            published=published,
            updated=updated,
            authors=tuple(dict.fromkeys(filter(None, map(_author, item.authors)))),
        )
    return None


def _address(link: str, url: str) -> str:
    """The absolute address of a link in the feed at `url`; empty for what leads to no article.

    A bare fragment is nothing: resolved, it would be the feed, and all such entries one. A home page is no
    article either.
    """
    link = re.sub("[\t\r\n]", "", link.strip())
    if not link or link[0] == "#":
        return ""
    try:
        address = link if link.startswith(("https://", "http://")) else urljoin(url, link)
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not (parts.path.strip("/") or parts.query):
        return ""
    return "" if address.partition("#")[0] == url.partition("#")[0] else address


def _author(text: str) -> str:
    """The name in « redaction@exemple.fr (Jeanne Martin) » or « Jeanne Martin »; an address is not a name."""
    return _EMAIL.sub(" ", plain(text, LONGEST_NAME)).strip(" ()<>,;")
