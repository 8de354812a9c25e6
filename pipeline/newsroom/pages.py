"""The newsroom's web pages: articles in each publisher's own layout, AMP, front pages, pictures. *Pure.*

Does not know what is served where; see `site`.
"""

import json
from html import escape
from string import Template
from typing import Any

from pipeline.newsroom.content import Publisher, Story
from pipeline.newsroom.printing import Printing, in_words, slug

RELATED = 3  # links under « À lire aussi »
LOCALES = {"fr": "fr_FR", "en": "en_GB", "oc": "oc_FR", "ht": "ht_HT"}
FEED_TYPES = {
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
    "rdf": "application/rdf+xml",
    "json": "application/feed+json",
}
WALL = (
    '<div class="mur-abonnes"><p>Il vous reste une partie de cet article à découvrir.</p>'
    '<a href="/">Je m’abonne</a></div>'
)


def article_page(publisher: Publisher, story: Story, printing: Printing) -> str:
    """The page of `story`; of one behind a paywall only its visible paragraphs."""
    return _page(publisher, story, printing, publisher.template)


def amp_page(publisher: Publisher, story: Story, printing: Printing) -> str:
    """The AMP version of `story`, for publishers who have any."""
    return _page(publisher, story, printing, publisher.amp_template)


def _page(publisher: Publisher, story: Story, printing: Printing, template: str) -> str:
    opening, rest = _halves(printing.text(story)[: story.visible])
    related = [_link(printing, publisher, other) for other in related_stories(publisher, story)]
    home = printing.home(publisher)
    words = {
        "language": story.language,
        "locale": LOCALES[story.language],
        "tier": "free" if story.visible is None else "locked",
        "publisher": publisher.name,
        "tagline": publisher.tagline,
        "title": printing.title(story),
        "lead": story.lead,
        "author": story.author,
        "section": story.section,
        "section_url": f"/{slug(story.section)}/",
        "url": printing.url(publisher, story),
        "amp_url": home + printing.amp_path(publisher, story),
        "image": f"{home}/images/{story.slug}.svg",
        "published": printing.published(story).isoformat(),
        "modified": printing.modified(story).isoformat(),
        "published_text": in_words(printing.published(story)),
    }
    markup = {
        "opening": _html(opening),
        "rest": _html(rest),
        "wall": "" if story.visible is None else WALL,
        "related": "".join(f"<li>{link}</li>" for link in related),
        "related_inline": _inline(related),
        "sections": _sections(publisher),
        "autodiscovery": _autodiscovery(publisher),
        "json_ld": _script(json_ld(publisher, story, printing)),
        "json_ld_graph": _script(json_ld_graph(publisher, story, printing)),
    }
    return Template(template).substitute({key: escape(value) for key, value in words.items()} | markup)


def front_page(publisher: Publisher, stories: list[Story], printing: Printing, template: str) -> str:
    """A list of `stories`, the newest first."""
    newest = sorted(stories, key=lambda story: story.hours)
    headlines = (
        f"<li>{_link(printing, publisher, story)}<br>{escape(story.lead)}<br>"
        f"<small>{in_words(printing.modified(story))}</small></li>"
        for story in newest
    )
    return Template(template).substitute(
        heading=escape(publisher.name),
        tagline=escape(publisher.tagline),
        autodiscovery=_autodiscovery(publisher),
        sections=" · ".join(_section_links(publisher)),
        headlines="".join(headlines),
    )


def illustration(story: Story) -> str:
    """A flat landscape in colours of the story's own."""
    hue = story.number * 47 % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 630" width="1200" height="630">'
        f'<rect width="1200" height="630" fill="hsl({hue},45%,78%)"/>'
        f'<circle cx="{200 + hue * 2}" cy="220" r="90" fill="hsl({hue + 40},80%,88%)"/>'
        f'<path d="M0 470Q300 {330 + hue // 4} 600 450T1200 420V630H0Z" fill="hsl({hue},35%,40%)"/></svg>'
    )


def related_stories(publisher: Publisher, story: Story) -> list[Story]:
    """Older stories of the publisher: those of the same section first, then by nearness in time.

    None that comes out later or is revised: a page changes when its own story does, and only then.
    """
    others = [
        other
        for other in publisher.stories
        if other is not story and other.hours >= story.hours and not other.revised
    ]
    others.sort(key=lambda other: (other.section != story.section, abs(other.hours - story.hours)))
    return others[:RELATED]


def _halves(texts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    middle = (len(texts) + 1) // 2
    if texts[middle - 1].startswith("## "):  # a subheading stays with what it heads
        middle -= 1
    return texts[:middle], texts[middle:]


def _html(texts: tuple[str, ...]) -> str:
    return "\n".join(
        f"<h2>{escape(text[3:])}</h2>" if text.startswith("## ") else f"<p>{escape(text)}</p>"
        for text in texts
    )


def _link(printing: Printing, publisher: Publisher, story: Story) -> str:
    return f'<a href="{escape(printing.path(publisher, story))}">{escape(printing.title(story))}</a>'


def _section_links(publisher: Publisher) -> list[str]:
    names = sorted({story.section for story in publisher.stories})
    return [f'<a href="/{slug(name)}/">{escape(name)}</a>' for name in names]


def _sections(publisher: Publisher) -> str:
    return "".join(f"<li>{link}</li>" for link in _section_links(publisher))


def _inline(related: list[str]) -> str:
    return f'<p class="lire-aussi"><strong>À lire aussi :</strong> {related[0]}</p>' if related else ""


def _autodiscovery(publisher: Publisher) -> str:
    return "\n".join(
        f'<link rel="alternate" type="{FEED_TYPES[feed.format]}" title="{escape(feed.section)}" '
        f'href="{feed.path}">'
        for feed in publisher.feeds
    )


def json_ld(publisher: Publisher, story: Story, printing: Printing) -> dict[str, Any]:
    """What schema.org calls the story."""
    values: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "LiveBlogPosting" if story.live else "NewsArticle",
        "mainEntityOfPage": printing.url(publisher, story),
        "headline": printing.title(story),
        "description": story.lead,
        "datePublished": printing.published(story).isoformat(),
        "dateModified": printing.modified(story).isoformat(),
        "articleSection": story.section,
        "inLanguage": story.language,
        "isAccessibleForFree": story.visible is None,
        "image": [f"{printing.home(publisher)}/images/{story.slug}.svg"],
        "author": [{"@type": "Person", "name": story.author}],
        "publisher": {"@type": "NewsMediaOrganization", "name": publisher.name},
    }
    if story.live:
        values["coverageStartTime"] = printing.published(story).isoformat()
    return values


def json_ld_graph(publisher: Publisher, story: Story, printing: Printing) -> dict[str, Any]:
    """The same as a graph: the site, the story, and the way to it."""
    home, url = printing.home(publisher), printing.url(publisher, story)
    article = json_ld(publisher, story, printing) | {"@id": f"{url}#article"}
    context = article.pop("@context")
    crumbs = [(publisher.name, f"{home}/"), (story.section, f"{home}/{slug(story.section)}/")]
    return {
        "@context": context,
        "@graph": [
            {"@type": "WebSite", "@id": f"{home}/#site", "name": publisher.name, "url": f"{home}/"},
            article,
            {
                "@type": "BreadcrumbList",
                "itemListElement": [
                    {"@type": "ListItem", "position": place, "name": name, "item": item}
                    for place, (name, item) in enumerate(crumbs, start=1)
                ],
            },
        ],
    }


def _script(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")  # no end tag inside a script
