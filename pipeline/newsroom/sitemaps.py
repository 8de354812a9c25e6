"""The newsroom's sitemaps: an index, one map for each day in Paris, and one of the news of two days. *Pure.*

Lists what is out; does not decide which publishers have sitemaps.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from html import escape

from pipeline.newsroom.content import Publisher, Story
from pipeline.newsroom.printing import PARIS, Printing

INDEX = "/sitemap.xml"
NEWS = "/sitemap-news.xml"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
GOOGLE_NEWS = "http://www.google.com/schemas/sitemap-news/0.9"
NEWS_FOR = timedelta(
    days=2
)  # what the format is for; counted from the newest, so that time alone changes nothing
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def sitemaps(publisher: Publisher, printing: Printing) -> Iterator[tuple[str, str]]:
    """Every sitemap of the publisher: its path and the document."""
    stories = printing.stories(publisher)
    by_day: dict[date, list[Story]] = {}
    for story in sorted(stories, key=printing.published):
        by_day.setdefault(printing.published(story).date(), []).append(story)
    yield INDEX, _index(publisher, printing, by_day)
    for day, ones in by_day.items():
        yield _path(day), _urlset("", (_url(publisher, printing, story) for story in ones))
    newest = max(map(printing.published, stories), default=printing.epoch)
    recent = (story for story in stories if newest - printing.published(story) <= NEWS_FOR)
    news = (_news_url(publisher, printing, story) for story in recent)
    yield NEWS, _urlset(f' xmlns:news="{GOOGLE_NEWS}"', news)


def _path(day: date) -> str:
    return f"/sitemaps/{day:%Y-%m-%d}.xml"


def _index(publisher: Publisher, printing: Printing, by_day: dict[date, list[Story]]) -> str:
    home = printing.home(publisher)
    listed = [(_path(day), max(map(printing.modified, ones))) for day, ones in by_day.items()]
    listed.append((NEWS, max([when for _, when in listed], default=printing.epoch).astimezone(PARIS)))
    maps = "".join(
        f"<sitemap><loc>{home}{path}</loc><lastmod>{modified.isoformat()}</lastmod></sitemap>\n"
        for path, modified in listed
    )
    return f'{_HEAD}<sitemapindex xmlns="{SITEMAP}">\n{maps}</sitemapindex>\n'


def _urlset(namespaces: str, urls: Iterable[str]) -> str:
    return f'{_HEAD}<urlset xmlns="{SITEMAP}"{namespaces}>\n{"".join(urls)}</urlset>\n'


def _url(publisher: Publisher, printing: Printing, story: Story, more: str = "") -> str:
    return (
        f"<url><loc>{escape(printing.url(publisher, story))}</loc>"
        f"<lastmod>{printing.modified(story).isoformat()}</lastmod>{more}</url>\n"
    )


def _news_url(publisher: Publisher, printing: Printing, story: Story) -> str:
    news = (
        f"<news:news><news:publication><news:name>{escape(publisher.name)}</news:name>"
        f"<news:language>{story.language}</news:language></news:publication>"
        f"<news:publication_date>{printing.published(story).isoformat()}</news:publication_date>"
        f"<news:title>{escape(printing.title(story))}</news:title></news:news>"
    )
    return _url(publisher, printing, story, news)
