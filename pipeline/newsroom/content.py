"""What the newsroom publishes: publishers, feeds, stories, as values. *Pure.*

Does not know when or where it is served: times are hours before the newsroom's first start, and less than 0
after it. Does not read files; `loading` does.
"""

from dataclasses import dataclass

GONE = "gone"  # the hazard that is only a status: 410


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A text that an agency sent to several publishers."""

    hours: float
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revision:
    """A later version of a story: when it came out, and its title where that changed."""

    hours: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """An article as its author left it.

    A paragraph that starts with `## ` is a subheading; one that starts with `@2 ` is printed from the second
    version on, which is the first of `revised`; the paragraph `@dispatch` stands for the dispatch, which
    comes last if there is none. {jour}, {veille} and {lendemain} stand for the weekday of publication and its
    neighbours, so that a story agrees with its date, {heure} for the time of the paragraph's version.
    On a live page what is marked stands below what is not, the latest first.
    """

    publisher: str  # id
    slug: str
    number: int
    title: str
    lead: str
    section: str
    author: str
    hours: float  # before the newsroom's first start; less than 0: after it
    paragraphs: tuple[str, ...]
    language: str = "fr"
    revised: tuple[Revision, ...] = ()
    live: bool = False
    path: str = ""  # instead of the publisher's usual address
    moved_from: tuple[str, ...] = ()  # paths, each of which answers 301 to the next; feeds give the first
    other_slug: str = ""  # an earlier slug under the same number, which still answers
    tracking: str = ""  # query that tracked feeds append to the link
    visible: int | None = None  # paragraphs shown before the paywall; None: all
    hazard: str = ""  # how its page is served, see `hazards`
    dispatch: Dispatch | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """A feed entry that leads to no story of ours."""

    title: str
    summary: str
    link: str  # {home} stands for the publisher's own address
    hours: float
    hazard: str = ""  # what answers there, see `hazards`; empty: nothing of ours

    @property
    def path(self) -> str:
        """Its path at the publisher, empty if it leads elsewhere."""
        home, _, path = self.link.partition("{home}")
        return "" if home else path


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What a publisher's feed carries, and in which state it is served."""

    path: str
    format: str  # rss, atom, rdf or json
    section: str  # its name in sources.yaml
    sections: tuple[str, ...] = ()  # carries these only; empty: everything
    tracked: bool = False
    amp: bool = False  # its links lead to the AMP versions
    earlier_slugs: bool = False  # its links keep the slug that an article had first
    damaged: bool = False
    strays: tuple[Stray, ...] = ()

    def carries(self, story: Story) -> bool:
        return not self.sections or story.section in self.sections


@dataclass(frozen=True, slots=True)
class Publisher:
    """An invented publisher with all its stories."""

    id: str
    name: str
    tagline: str
    family: str
    country: str
    host: str  # without port
    addresses: str  # pattern of its articles' paths
    apostrophe: str
    robots: str
    template: str
    feeds: tuple[FeedPlan, ...]
    stories: tuple[Story, ...] = ()
    article_id: str = ""  # regex with one group, over the URL
    charset: str = "utf-8"  # of its articles' pages and feeds; another one is declared inside them only
    amp_template: str = ""  # empty: there are no AMP versions
    sitemaps: bool = False
