"""What the newsroom serves: every host and path with its resource. *Pure.*

Does not speak HTTP; see `server`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from itertools import pairwise

from pipeline.newsroom.content import GONE, Publisher, Story, Stray
from pipeline.newsroom.pages import FEED_TYPES, amp_page, article_page, front_page, illustration
from pipeline.newsroom.printing import Printing, slug
from pipeline.newsroom.sitemaps import INDEX, sitemaps
from pipeline.newsroom.syndication import feed_body, items

HTML = "text/html; charset=utf-8"
XML = "application/xml; charset=utf-8"
SVG = "image/svg+xml"


@dataclass(frozen=True, slots=True)
class Resource:
    """An answer to GET: 200, a redirect for good (301) with a `location`, or a `status` of its own."""

    body: bytes
    content_type: str
    modified: datetime
    location: str = ""
    status: int = 200
    hazard: str = ""  # how the body is poured, see `hazards`


Site = dict[tuple[str, str], Resource]  # by host (without port) and path


def build(publishers: tuple[Publisher, ...], front: str, printing: Printing) -> Site:
    """All resources of this printing; `front` is the layout of front pages."""
    return {
        (publisher.host, path): resource
        for publisher in publishers
        for path, resource in _resources(publisher, front, printing)
    }


def _resources(publisher: Publisher, front: str, printing: Printing) -> Iterator[tuple[str, Resource]]:
    stories = printing.stories(publisher)
    yield "/robots.txt", _robots(publisher, printing)
    yield "/", _front(publisher, stories, front, printing)
    for section in {story.section for story in publisher.stories}:
        chosen = [story for story in stories if story.section == section]
        yield f"/{slug(section)}/", _front(publisher, chosen, front, printing)
    yield from _feeds(publisher, printing)
    if publisher.sitemaps:
        newest = _newest(stories, printing)
        for path, xml in sitemaps(publisher, printing):
            yield path, Resource(xml.encode(), XML, newest)
    for story in stories:
        yield from _story(publisher, story, printing)


def _robots(publisher: Publisher, printing: Printing) -> Resource:
    listed = f"\nSitemap: {printing.home(publisher)}{INDEX}\n" if publisher.sitemaps else ""
    return Resource((publisher.robots + listed).encode(), "text/plain; charset=utf-8", printing.epoch)


def _feeds(publisher: Publisher, printing: Printing) -> Iterator[tuple[str, Resource]]:
    for feed in publisher.feeds:
        entries = items(publisher, feed, printing)
        newest = max((item.updated for item in entries), default=printing.epoch)
        kind = FEED_TYPES[feed.format] + ("; charset=utf-8" if publisher.charset == "utf-8" else "")
        yield feed.path, Resource(feed_body(publisher, feed, printing), kind, newest)
        for stray in feed.strays:
            if stray.hazard and printing.is_out(stray):
                yield stray.path, _hazard(stray, printing)


def _hazard(stray: Stray, printing: Printing) -> Resource:
    title = escape(stray.title)
    page = f'<!DOCTYPE html>\n<html lang="fr"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>\n'
    resource = Resource(page.encode(), HTML, printing.instant(stray.hours))
    return replace(resource, status=410) if stray.hazard == GONE else replace(resource, hazard=stray.hazard)


def _front(publisher: Publisher, stories: list[Story], front: str, printing: Printing) -> Resource:
    page = front_page(publisher, stories, printing, front)
    return Resource(page.encode(), HTML, _newest(stories, printing))


def _newest(stories: list[Story], printing: Printing) -> datetime:
    return max((printing.modified(story) for story in stories), default=printing.epoch)


def _story(publisher: Publisher, story: Story, printing: Printing) -> Iterator[tuple[str, Resource]]:
    modified = printing.modified(story)
    page = article_page(publisher, story, printing).encode(publisher.charset, "xmlcharrefreplace")
    kind = HTML if publisher.charset == "utf-8" else "text/html"  # else the page itself says it
    resource = Resource(page, kind, modified, hazard=story.hazard)
    path = printing.path(publisher, story)
    yield path, resource
    if story.other_slug:
        yield printing.path(publisher, story, story.other_slug), resource
    if publisher.amp_template:
        amp = amp_page(publisher, story, printing)
        yield printing.amp_path(publisher, story), Resource(amp.encode(), HTML, modified)
    yield f"/images/{story.slug}.svg", Resource(illustration(story).encode(), SVG, printing.published(story))
    for old, new in pairwise((*story.moved_from, path)):
        location = printing.home(publisher) + new
        yield old, Resource(f'<a href="{location}">{location}</a>\n'.encode(), HTML, modified, location)
