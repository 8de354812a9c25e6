"""What the newsroom serves: every host and path with its resource.

Does not speak HTTP; see `server`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pipeline.newsroom.content import Publisher, Story
from pipeline.newsroom.pages import article_page, front_page, illustration
from pipeline.newsroom.printing import Printing, slug
from pipeline.newsroom.syndication import feed_xml, items

HTML = "text/html; charset=utf-8"
SVG = "image/svg+xml"
FEED = {"rss": "application/rss+xml; charset=utf-8", "atom": "application/atom+xml; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Resource:
    """An answer to GET. With a `location` it is a redirect for good (301)."""

    body: bytes
    content_type: str
    modified: datetime
    location: str = ""


Site = dict[tuple[str, str], Resource]  # by host (without port) and path


def build(publishers: tuple[Publisher, ...], front: str, printing: Printing) -> Site:
    """All resources of this printing; `front` is the layout of front pages."""
    return {
        (publisher.host, path): resource
        for publisher in publishers
        for path, resource in _resources(publisher, front, printing)
    }


def _resources(publisher: Publisher, front: str, printing: Printing) -> Iterator[tuple[str, Resource]]:
    yield "/robots.txt", Resource(publisher.robots.encode(), "text/plain; charset=utf-8", printing.epoch)
    yield "/", _front(publisher, list(publisher.stories), front, printing)
    for section in {story.section for story in publisher.stories}:
        chosen = [story for story in publisher.stories if story.section == section]
        yield f"/{slug(section)}/", _front(publisher, chosen, front, printing)
    for feed in publisher.feeds:
        newest = max(item.updated for item in items(publisher, feed, printing))
        xml = feed_xml(publisher, feed, printing)
        yield feed.path, Resource(xml.encode(), FEED[feed.format], newest)
    for story in publisher.stories:
        yield from _story(publisher, story, printing)


def _front(publisher: Publisher, stories: list[Story], front: str, printing: Printing) -> Resource:
    newest = max(printing.modified(story) for story in stories)
    return Resource(front_page(publisher, stories, printing, front).encode(), HTML, newest)


def _story(publisher: Publisher, story: Story, printing: Printing) -> Iterator[tuple[str, Resource]]:
    modified = printing.modified(story)
    yield (
        printing.path(publisher, story),
        Resource(article_page(publisher, story, printing).encode(), HTML, modified),
    )
    yield f"/images/{story.slug}.svg", Resource(illustration(story).encode(), SVG, printing.published(story))
    if story.moved_from:
        url = printing.url(publisher, story)
        yield (
            story.moved_from,
            Resource(f'<a href="{url}">{url}</a>\n'.encode(), HTML, modified, location=url),
        )
