"""Engines that read pages, each in a process of its own: `python readers.py ENGINE`, asked in JSON lines.

A question names a shelf of pages, whose bytes are read and decoded before the clock starts, another of pages
to be read before that, and whether the texts are wanted. Nothing is fetched. Imports only the standard
library, apart from the engine that is asked for: it also runs in the environments of other projects, which
know nothing of Veille.
"""

import gzip
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

WARM = 5  # pages that are read first where there are no others: they load what is loaded once
FETCHED_AT = datetime(2026, 11, 22, tzinfo=UTC)  # later than all real pages
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)

Read = Callable[["Shown"], str]


class Shown(NamedTuple):
    """A page in memory: bytes for engines that decode, a string for those that do not."""

    url: str
    html: bytes
    string: str


def veille() -> Read:
    """Our own: text, metadata, dates and language."""
    from pipeline.errors import Unparsable
    from pipeline.reading.articles import extract

    def read(page: Shown) -> str:
        try:
            return extract(page.html, url=page.url, fetched_at=FETCHED_AT, content_type="text/html").text
        except Unparsable:
            return ""  # no article, for which time was spent all the same

    return read


def trafilatura() -> Read:
    """The default of trafilatura, with metadata; without comments, which costs the same and reads better."""
    from trafilatura import bare_extraction

    def read(page: Shown) -> str:
        found = bare_extraction(page.html, url=page.url, include_comments=False, with_metadata=True)
        return str(getattr(found, "text", None) or "")

    return read


def newspaper4k() -> Read:
    """newspaper4k, without the images that it would fetch."""
    import newspaper  # type: ignore[import-not-found]  # it is in an environment of its own

    def read(page: Shown) -> str:
        article = newspaper.Article(page.url, fetch_images=False)
        article.download(input_html=page.string)
        article.parse()
        return str(article.text)

    return read


def news_please() -> Read:
    """news-please, without the images that it would fetch."""
    from newsplease import NewsPlease  # type: ignore[import-not-found]  # as above

    def read(page: Shown) -> str:
        found = NewsPlease.from_html(page.string, url=page.url, fetch_images=False)
        return (found.maintext or "") if found else ""

    return read


ENGINES: dict[str, Callable[[], Read]] = {
    "veille": veille,
    "trafilatura": trafilatura,
    "newspaper4k": newspaper4k,
    "news-please": news_please,
}


@cache
def shelf(folder: str) -> list[Shown]:
    """The pages of a shelf."""
    rows = json.loads((Path(folder) / "pages.json").read_text())
    bodies = [gzip.decompress((Path(folder) / f"{n}.html.gz").read_bytes()) for n in range(len(rows))]
    return [Shown(row["url"], body, _decoded(body)) for row, body in zip(rows, bodies, strict=True)]


def _decoded(html: bytes) -> str:
    said = _CHARSET.search(html, 0, 4_096)
    try:
        return html.decode(said[1].decode() if said else "utf-8", "replace")
    except LookupError:
        return html.decode("utf-8", "replace")


def answered(read: Read, pages: list[Shown]) -> tuple[list[str], int]:
    """The texts, and how many pages the engine raised at."""
    texts, failed = [], 0
    for page in pages:
        try:
            texts.append(read(page))
        except Exception:  # noqa: BLE001  whatever it stumbles over, the others are read
            texts.append("")
            failed += 1
    return texts, failed


def main() -> None:
    """Answer questions until there are no more."""
    read = ENGINES[sys.argv[1]]()
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries that print speak to nobody
    for line in sys.stdin:
        question: dict[str, Any] = json.loads(line)
        pages = shelf(question["shelf"])
        answered(read, (shelf(question["warm"]) if question.get("warm") else []) or pages[:WARM])
        started = time.process_time()
        texts, failed = answered(read, pages)
        said = {"cpu": time.process_time() - started, "failed": failed}
        print(
            json.dumps(said | ({"texts": texts} if question.get("texts") else {})), file=answers, flush=True
        )


if __name__ == "__main__":
    main()
