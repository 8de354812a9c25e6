"""The newsroom's feeds: RSS 2.0, Atom, RSS 1.0 and JSON Feed, whole or damaged as real feeds are. *Pure.*

Does not decide what a feed carries; its plan does (`content.FeedPlan`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape

from pipeline.newsroom.content import FeedPlan, Publisher, Story
from pipeline.newsroom.printing import Printing

DC = "http://purl.org/dc/elements/1.1/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a feed."""

    title: str
    summary: str
    link: str
    guid: str
    published: datetime
    updated: datetime
    author: str


def items(publisher: Publisher, feed: FeedPlan, printing: Printing) -> list[Item]:
    """What `feed` carries in this printing, newest first."""
    found = [*_stories(publisher, feed, printing), *_strays(publisher, feed, printing)]
    return sorted(found, key=lambda item: (item.updated, item.link), reverse=True)


def feed_body(publisher: Publisher, feed: FeedPlan, printing: Printing) -> bytes:
    """The document that is served under `feed.path`."""
    render = {"rss": _rss, "atom": _atom, "rdf": _rdf, "json": _json}[feed.format]
    text = render(publisher, feed, printing, items(publisher, feed, printing))
    return (damage(text) if feed.damaged else text).encode(publisher.charset, "xmlcharrefreplace")


def damage(xml: str) -> str:
    """Break a feed as publishers do: an entity of HTML, bare ampersands, an end that never arrived.

    Every item is still whole, so a tolerant parser reads them all.
    """
    whole, _, _ = xml.rpartition("</item>")
    return whole.replace("\N{NO-BREAK SPACE}", "&nbsp;").replace("&amp;", "&") + "</item>\n"


def _stories(publisher: Publisher, feed: FeedPlan, printing: Printing) -> Iterator[Item]:
    for story in printing.stories(publisher):
        if not feed.carries(story):
            continue
        yield Item(
            title=printing.title(story),
            summary=story.lead,
            link=printing.home(publisher) + _link(publisher, feed, printing, story),
            guid=f"tag:{publisher.host},2020:{story.number}",
            published=printing.published(story),
            updated=printing.modified(story),
            author=story.author,
        )


def _link(publisher: Publisher, feed: FeedPlan, printing: Printing, story: Story) -> str:
    if story.moved_from:
        return story.moved_from[0]
    if feed.amp and publisher.amp_template:
        return printing.amp_path(publisher, story)
    path = printing.path(publisher, story, story.other_slug if feed.earlier_slugs else "")
    return f"{path}?{story.tracking}" if feed.tracked and story.tracking else path


def _strays(publisher: Publisher, feed: FeedPlan, printing: Printing) -> Iterator[Item]:
    for stray in filter(printing.is_out, feed.strays):
        link = stray.link.replace("{home}", printing.home(publisher))
        moment = printing.instant(stray.hours)
        yield Item(stray.title, stray.summary, link, link, moment, moment, "La rédaction")


def _newest(printing: Printing, entries: list[Item]) -> datetime:
    """When the feed last changed; of one that is still empty, the newsroom's first start."""
    return entries[0].updated if entries else printing.instant(0)


def _rss(publisher: Publisher, feed: FeedPlan, printing: Printing, entries: list[Item]) -> str:
    head = (
        f'<?xml version="1.0" encoding="{publisher.charset}"?>\n'
        f'<rss version="2.0" xmlns:dc="{DC}">\n<channel>\n'
        f"<title>{escape(publisher.name)} - {escape(feed.section)}</title>\n"
        f"<link>{printing.home(publisher)}/</link>\n<description>{escape(publisher.tagline)}</description>\n"
        "<language>fr</language>\n"
        f"<lastBuildDate>{format_datetime(_newest(printing, entries))}</lastBuildDate>\n"
    )
    return head + "".join(_rss_item(item) for item in entries) + "</channel>\n</rss>\n"


def _rss_item(item: Item) -> str:
    return (
        f"<item>\n<title>{escape(item.title)}</title>\n<link>{escape(item.link)}</link>\n"
        f'<guid isPermaLink="false">{escape(item.guid)}</guid>\n'
        f"<pubDate>{format_datetime(item.updated)}</pubDate>\n<dc:creator>{escape(item.author)}</dc:creator>\n"
        f"<description>{escape(item.summary)}</description>\n</item>\n"
    )


def _atom(publisher: Publisher, feed: FeedPlan, printing: Printing, entries: list[Item]) -> str:
    home = printing.home(publisher)
    head = (
        f'<?xml version="1.0" encoding="{publisher.charset}"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr">\n'
        f"<title>{escape(publisher.name)} - {escape(feed.section)}</title>\n<id>{home}/</id>\n"
        f'<link href="{home}/"/>\n<link rel="self" href="{home}{feed.path}"/>\n'
        f"<updated>{_newest(printing, entries).isoformat()}</updated>\n"
    )
    return head + "".join(_atom_entry(item) for item in entries) + "</feed>\n"


def _atom_entry(item: Item) -> str:
    return (
        f"<entry>\n<title>{escape(item.title)}</title>\n"
        f'<link rel="alternate" type="text/html" href="{escape(item.link)}"/>\n<id>{escape(item.guid)}</id>\n'
        f"<published>{item.published.isoformat()}</published>\n<updated>{item.updated.isoformat()}</updated>\n"
        f"<author><name>{escape(item.author)}</name></author>\n"
        f'<summary type="text">{escape(item.summary)}</summary>\n</entry>\n'
    )


def _rdf(publisher: Publisher, feed: FeedPlan, printing: Printing, entries: list[Item]) -> str:
    home = printing.home(publisher)
    order = "".join(f'<rdf:li rdf:resource="{escape(item.link)}"/>' for item in entries)
    head = (
        f'<?xml version="1.0" encoding="{publisher.charset}"?>\n'
        f'<rdf:RDF xmlns:rdf="{RDF}" xmlns="http://purl.org/rss/1.0/" xmlns:dc="{DC}">\n'
        f'<channel rdf:about="{home}{feed.path}">\n'
        f"<title>{escape(publisher.name)} - {escape(feed.section)}</title>\n<link>{home}/</link>\n"
        f"<description>{escape(publisher.tagline)}</description>\n<dc:language>fr</dc:language>\n"
        f"<dc:date>{_newest(printing, entries).isoformat()}</dc:date>\n"
        f"<items><rdf:Seq>{order}</rdf:Seq></items>\n</channel>\n"
    )
    return head + "".join(_rdf_item(item) for item in entries) + "</rdf:RDF>\n"


def _rdf_item(item: Item) -> str:
    return (
        f'<item rdf:about="{escape(item.link)}">\n<title>{escape(item.title)}</title>\n'
        f"<link>{escape(item.link)}</link>\n<description>{escape(item.summary)}</description>\n"
        f"<dc:creator>{escape(item.author)}</dc:creator>\n"
        f"<dc:date>{item.updated.isoformat()}</dc:date>\n</item>\n"
    )


def _json(publisher: Publisher, feed: FeedPlan, printing: Printing, entries: list[Item]) -> str:
    home = printing.home(publisher)
    values = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": f"{publisher.name} - {feed.section}",
        "description": publisher.tagline,
        "home_page_url": f"{home}/",
        "feed_url": f"{home}{feed.path}",
        "language": "fr",
        "items": [_json_item(item) for item in entries],
    }
    return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def _json_item(item: Item) -> dict[str, object]:
    return {
        "id": item.guid,
        "url": item.link,
        "title": item.title,
        "content_text": item.summary,
        "date_published": item.published.isoformat(),
        "date_modified": item.updated.isoformat(),
        "authors": [{"name": item.author}],
    }
