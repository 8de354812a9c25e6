"""The newsroom's feeds: RSS 2.0 and Atom, whole or damaged in the ways real feeds are.

Does not decide what a feed carries; its plan does (`content.FeedPlan`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape

from pipeline.newsroom.content import FeedPlan, Publisher
from pipeline.newsroom.printing import Printing

DC = "http://purl.org/dc/elements/1.1/"


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


def feed_xml(publisher: Publisher, feed: FeedPlan, printing: Printing) -> str:
    """The document that is served under `feed.path`."""
    render = {"rss": _rss, "atom": _atom}[feed.format]
    xml = render(publisher, feed, printing, items(publisher, feed, printing))
    return damage(xml) if feed.damaged else xml


def damage(xml: str) -> str:
    """Break a feed as publishers do: an entity of HTML, bare ampersands, an end that never arrived.

    Every item is still whole, so a tolerant parser reads them all.
    """
    whole, _, _ = xml.rpartition("</item>")
    return whole.replace("\N{NO-BREAK SPACE}", "&nbsp;").replace("&amp;", "&") + "</item>\n"


def _stories(publisher: Publisher, feed: FeedPlan, printing: Printing) -> Iterator[Item]:
    for story in publisher.stories:
        if not feed.carries(story):
            continue
        path = story.moved_from or printing.path(publisher, story)
        query = f"?{story.tracking}" if feed.tracked and story.tracking else ""
        yield Item(
            title=printing.title(story),
            summary=story.lead,
            link=printing.home(publisher) + path + query,
            guid=f"tag:{publisher.host},2020:{story.number}",
            published=printing.published(story),
            updated=printing.modified(story),
            author=story.author,
        )


def _strays(publisher: Publisher, feed: FeedPlan, printing: Printing) -> Iterator[Item]:
    for stray in feed.strays:
        link = stray.link.replace("{home}", printing.home(publisher))
        moment = printing.instant(stray.hours)
        yield Item(stray.title, stray.summary, link, link, moment, moment, "La rédaction")


def _rss(publisher: Publisher, feed: FeedPlan, printing: Printing, entries: list[Item]) -> str:
    head = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:dc="{DC}">\n<channel>\n'
        f"<title>{escape(publisher.name)} - {escape(feed.section)}</title>\n"
        f"<link>{printing.home(publisher)}/</link>\n<description>{escape(publisher.tagline)}</description>\n"
        f"<language>fr</language>\n<lastBuildDate>{format_datetime(entries[0].updated)}</lastBuildDate>\n"
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
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr">\n'
        f"<title>{escape(publisher.name)} - {escape(feed.section)}</title>\n<id>{home}/</id>\n"
        f'<link href="{home}/"/>\n<link rel="self" href="{home}{feed.path}"/>\n'
        f"<updated>{entries[0].updated.isoformat()}</updated>\n"
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
