"""The pages and feeds that are measured on: real ones where VEILLE_CORPUS names them, else those of the
newsroom.

Does not read or serve them. Written into a folder (a shelf), they can be read again by any process.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

PAGES = "06-pages-fr-raw-meta"
FEEDS = "12-feeds-fr-2025/feeds"
GOLD = ("01-pages-fr-jsonld-gold", "02-pages-scraper-gold")
NEWSROOM = "the sample newsroom"
HOSTS = 20
WARM_HOST = "echauffement.localhost"
FEED = "/feed.xml"  # of each host: its pages
_JSON_LD = re.compile(rb"<script[^>]*application/ld\+json[^>]*>.*?</script>", re.DOTALL | re.IGNORECASE)
_FEED = re.compile(rb"<(?:rss|feed|rdf:RDF)\b")


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was received, and where it is served; a port is put behind its host."""

    path: str
    host: str
    html: bytes
    gold: str = ""  # its text, where that is known

    def url(self, port: int = 80) -> str:
        """Where it lives."""
        return f"http://{self.host}:{port}{self.path}"


def corpus() -> Path | None:
    """The folder of real pages, if there is one: VEILLE_CORPUS, or `shared/corpus` beside the project."""
    named = os.environ.get("VEILLE_CORPUS")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return folder if (folder / PAGES).is_dir() else None


def load(limit: int) -> tuple[str, list[Page]]:
    """What the pages are called, and at most so many of them."""
    folder = corpus()
    found = _real(folder / PAGES) if folder else _invented()
    return PAGES if folder else NEWSROOM, found[:limit]


def warm() -> list[Page]:
    """Other pages, to be read before the clock starts: the newsroom's; none where those are measured."""
    return (
        [replace(page, path=f"/warm{page.path}", host=WARM_HOST) for page in _invented()] if corpus() else []
    )


def gold() -> list[Page]:
    """Real French pages whose text is known, without the JSON-LD that gives it away; none unless all sets
    are there.
    """
    folder = corpus()
    if folder is None or not all((folder / name).is_dir() for name in GOLD):
        return []
    return [page for name in GOLD for page in _with_gold(folder / name)]


def feeds() -> tuple[str, list[bytes]]:
    """What the feeds are called, and all of them: real ones, or those of the newsroom."""
    folder = corpus()
    if folder and (folder / FEEDS).is_dir():
        name, bodies = FEEDS, [file.read_bytes() for file in sorted((folder / FEEDS).iterdir())]
    else:
        name, bodies = NEWSROOM, [body for _, body in _newsroom()]
    return name, [
        body for body in bodies if _FEED.search(body[:500])
    ]  # no others: they would be left in peace


def host(number: int) -> str:
    """The name of one of the hosts; RFC 6761 keeps it on this machine."""
    return f"presse-{number % HOSTS}.localhost"


def shelve(pages: list[Page], folder: Path) -> Path:
    """Write pages into a folder; `shelved` and `readers` read them."""
    folder.mkdir(parents=True)
    rows = [{"url": page.url(), "path": page.path, "host": page.host} for page in pages]
    (folder / "pages.json").write_text(json.dumps(rows))
    for number, page in enumerate(pages):
        (folder / f"{number}.html.gz").write_bytes(gzip.compress(page.html, 5, mtime=0))
    return folder


def shelve_feeds(bodies: list[bytes], folder: Path) -> Path:
    """Write feeds into a folder, in their order."""
    folder.mkdir(parents=True)
    for number, body in enumerate(bodies):
        (folder / f"{number:04}.xml").write_bytes(body)
    return folder


def hosts() -> list[str]:
    """All hosts."""
    return [*map(host, range(HOSTS)), WARM_HOST]


def _real(folder: Path) -> list[Page]:
    rows = _rows(folder / "meta.jsonl")
    return [_page(number, row["url"], _html(folder, row["id"])) for number, row in enumerate(rows)]


def _with_gold(folder: Path) -> Iterator[Page]:
    for number, row in enumerate(_rows(folder / "gold.jsonl")):
        if row.get("kind", "fr") == "fr":
            html = _html(folder, row["id"])
            html = html if "kind" in row else _JSON_LD.sub(b"", html)
            yield _page(number, row.get("url", ""), html, row["gold_text"])


def _page(number: int, url: str, html: bytes, gold: str = "") -> Page:
    """The page under its own path, which may tell its date, on a host of ours."""
    path = re.sub(r"[^\w/.,~-]", "-", urlsplit(url).path, flags=re.ASCII)
    return Page(f"/{number}{path or '/'}", host(number), html, gold)


def _rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _html(folder: Path, name: str) -> bytes:
    return gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes())


def _invented() -> list[Page]:
    """The newsroom's articles: its other pages lie at the root of a host or end in a slash."""
    pages = [body for path, body in _newsroom() if b"<article" in body or path.endswith(".html")]
    return [_page(number, "", body) for number, body in enumerate(pages)]


def _newsroom() -> list[tuple[str, bytes]]:
    """Path and body of all that the sample newsroom serves in the end, but for hazards and redirects."""
    from datetime import timedelta

    from pipeline.newsroom.loading import HERE
    from pipeline.newsroom.loading import load as publishers
    from pipeline.newsroom.printing import Printing
    from pipeline.newsroom.site import build

    now = datetime.now(UTC)
    printing = Printing(now - timedelta(days=1), 80, now)
    front = (HERE / "templates" / "front.html").read_text("utf-8")
    site = build(publishers(), front, printing)
    return [
        (path, resource.body)
        for (_, path), resource in site.items()
        if resource.status == 200 and not resource.location and not resource.hazard  # noqa: PLR2004
    ]
