"""Commands that need no store: one page, one text, one feed, one URL at a time, or many as NDJSON."""

import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pipeline.cli import console as show
from pipeline.errors import NotFound, Permanent, Unparsable
from pipeline.model import Article, Claims, Feed
from pipeline.runtime import Runtime
from pipeline.settings import from_environment

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Ndjson = Annotated[
    bool, typer.Option("--ndjson", help="Read one JSON object a line on standard input, write one each.")
]

PAGE_CAP = 10 << 20
EXTRACT_FIELDS = (
    "url", "title", "text", "lead", "authors", "published", "modified", "date_source", "date_suspect",
    "language", "language_confidence", "section", "image", "paywalled", "completeness",
    "completeness_reason", "engine",
)  # fmt: skip


def extract(
    source: Annotated[str, typer.Argument(help="A saved page, or a URL.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Read an article from a page.

    NDJSON in: {"url", "html" or "path", "fetched_at"}.
    """
    with Runtime(from_environment()) as runtime:
        if ndjson:
            _extract_lines(runtime)
            return
        record = _page(runtime, _given(source, "a file or a URL"))
        article = _extract(runtime, record)
    if json:
        show.emit(article)
    else:
        _print_article(article)


def language(
    source: Annotated[str, typer.Argument(help="A text file, or - for standard input.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Say in which language a text is.

    NDJSON in: {"text"}.
    """
    if ndjson:
        show.ndjson(lambda record: _language(str(record["text"])))
        return
    found = _language(_text(_given(source, "a text file")))
    if json:
        show.emit(found)
    else:
        typer.echo(f"{found['language']}  (confidence {found['confidence']:.2f})")


def tag(
    source: Annotated[str, typer.Argument(help="A text file with the title on its first line.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Say which topics a text carries, and why.

    NDJSON in: {"title", "lead", "text"}.
    """
    runtime = Runtime(from_environment())
    tagger = runtime.tagger

    def work(record: dict[str, Any]) -> dict[str, object]:
        fields = [str(record.get(name) or "") for name in ("title", "lead", "text")]
        topics = tagger.tag(*fields, language=str(record.get("language") or "fr"))
        return {
            "topics": [
                {"id": t.topic, "score": t.score, "confidence": t.confidence, "hits": t.hits} for t in topics
            ]
        }

    if ndjson:
        show.ndjson(work)
        return
    title, text = _titled(_given(source, "a text file"))
    found = show.plain(work({"title": title, "text": text}))
    if json:
        show.emit(found)
    else:
        _print_topics(found["topics"])


def compare(
    first: Annotated[str, typer.Argument(help="A text file with the title on its first line.")] = "",
    second: Annotated[str, typer.Argument(help="Another one.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Say how much text two articles share.

    NDJSON in: {"a": {"title", "text"}, "b": {"title", "text"}}.
    """
    from pipeline import fingerprints

    def work(record: dict[str, Any]) -> object:
        a, b = record["a"], record["b"]
        return fingerprints.compare(
            str(a.get("title") or ""), str(a["text"]), str(b.get("title") or ""), str(b["text"])
        )

    if ndjson:
        show.ndjson(work)
        return
    sides = [
        dict(zip(("title", "text"), _titled(_given(side, "two text files")), strict=True))
        for side in (first, second)
    ]
    found = show.plain(work({"a": sides[0], "b": sides[1]}))
    if json:
        show.emit(found)
    else:
        typer.echo(
            f"{found['relation']}: {found['containment_ab']:.0%} of the first stands in the second, "
            f"{found['containment_ba']:.0%} of the second in the first (Jaccard {found['jaccard']:.2f})"
        )


def canonical(
    url: Annotated[str, typer.Argument(help="The address of an article.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Show the canonical form of a URL and the keys by which its article is known.

    NDJSON in: {"url", "publisher" (optional)}.
    """
    from pipeline import urls

    catalogue = Runtime(from_environment()).catalogue

    def work(record: dict[str, Any]) -> dict[str, object]:
        address = str(record["url"])
        named = record.get("publisher")
        form = urls.canonical(address)
        publisher = catalogue.publisher(str(named)) if named else catalogue.publisher_of(urls.host_of(form))
        return {"url": form, "keys": [f"{key.kind}:{key.value}" for key in urls.keys(address, publisher)]}

    if ndjson:
        show.ndjson(work)
        return
    found = work({"url": _given(url, "a URL")})
    if json:
        show.emit(found)
    else:
        typer.echo(found["url"])
        for key in found["keys"]:  # type: ignore[attr-defined]  # a list, made above
            typer.echo(f"  {key}")


def parse_feed(
    path: Annotated[str, typer.Argument(help="A saved feed.")] = "",
    url: Annotated[str, typer.Option(help="Where it came from: relative links start there.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Show what a saved feed holds.

    NDJSON in: {"path", "url", "content_type" (optional)}.
    """
    with Runtime(from_environment()) as runtime:

        def work(record: dict[str, Any]) -> dict[str, object]:
            feed = runtime.workers.run(
                "parse_feed",
                {
                    "body": show.read_bytes(str(record["path"])),
                    "url": str(record.get("url") or "https://feed.invalid/"),
                    "content_type": str(record.get("content_type") or ""),
                },
            )
            assert isinstance(feed, Feed)
            return _feed(feed)

        if ndjson:
            show.ndjson(work)
            return
        found = work({"path": _given(path, "a file"), "url": url})
    if json:
        show.emit(found)
    else:
        _print_feed(found)


def _given(value: str, what: str) -> str:
    if not value:
        raise Permanent(f"{what} is needed", hint="or --ndjson, to read many on standard input")
    return value


def _text(path: str) -> str:
    raw = sys.stdin.buffer.read() if path == "-" else show.read_bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unparsable(f"{path} is not UTF-8 text (byte {error.start})") from error


def _titled(path: str) -> tuple[str, str]:
    """A text file's first line and the rest."""
    title, _, text = _text(path).strip().partition("\n")
    return title.strip(), text.strip()


def _language(text: str) -> dict[str, object]:
    from pipeline.language import detect

    code, confidence = detect(text)
    return {"language": code, "confidence": confidence}


def _feed(feed: Feed) -> dict[str, object]:
    entries = [
        {
            "url": entry.url,
            "canonical_url": entry.canonical_url,
            "guid": entry.guid,
            "title": entry.title,
            "summary": entry.summary,
            "published": entry.published,
        }
        for entry in feed.entries
    ]
    return {
        "format": feed.format,
        "broken": feed.broken,
        "title": feed.title,
        "without_link": feed.without_link,
        "entries_truncated": feed.entries_truncated,
        "entries": entries,
    }


def _page(runtime: Runtime, source: str) -> dict[str, Any]:
    """The page behind a file name or URL, as a record of `extract`."""
    if urlsplit(source).scheme not in ("http", "https"):
        return {"url": f"https://file.invalid/{Path(source).name}", "path": source}
    fetched = _get(runtime, source)
    response = fetched.response
    if not 200 <= response.status < 300 or response.truncated:  # noqa: PLR2004
        raise NotFound(
            f"{source} cannot be read: the server answered {response.status} {response.reason}".rstrip()
        )
    return {"url": fetched.url, "body": response.body, "content_type": response.content_type}


def _get(runtime: Runtime, url: str) -> Any:
    """Fetch one URL as robots.txt allows, without a store that would remember it."""
    from pipeline.robots import Rules

    def admit(target: str) -> None:
        parts = urlsplit(target)
        answer = runtime.fetcher.get(f"{parts.scheme}://{parts.netloc}/robots.txt", cap=500 << 10, cut=True)
        rules = Rules.parse(answer.status, answer.body)
        if not rules.readable or not rules.allows(target):
            raise Permanent(f"robots.txt of {parts.netloc} keeps {target} from robots")

    return runtime.fetcher.follow(url, cap=PAGE_CAP, admit=admit)


def _extract(runtime: Runtime, record: dict[str, Any]) -> dict[str, object]:
    html = record.get("html")
    body = record.get("body") or (
        html.encode() if isinstance(html, str) else show.read_bytes(str(record["path"]))
    )
    at = record.get("fetched_at")
    article = runtime.workers.run(
        "extract",
        {
            "html": body,
            "url": str(record["url"]),
            "fetched_at": _moment(at) if at else datetime.now(UTC),
            "claims": Claims(),
            "content_type": str(record.get("content_type") or ("text/html; charset=utf-8" if html else "")),
        },
    )
    assert isinstance(article, Article)
    return {name: show.plain(getattr(article, name)) for name in EXTRACT_FIELDS}


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _extract_lines(runtime: Runtime) -> None:
    """Read pages side by side, one a core, and answer in the order of the questions."""
    workers = runtime.workers
    with ThreadPoolExecutor(workers.count) as pool:
        waiting: deque[Future[object]] = deque()
        for line in sys.stdin.buffer:
            if line.strip():
                waiting.append(pool.submit(show.attempt, lambda record: _extract(runtime, record), line))
            if len(waiting) > 4 * workers.count:
                show.write_line(waiting.popleft().result())
        while waiting:
            show.write_line(waiting.popleft().result())


def _print_article(article: dict[str, Any]) -> None:
    out = show.console()
    out.print(article["title"], style="bold", markup=False, highlight=False)
    authors = ", ".join(article["authors"])
    published = show.when(article["published"])
    about = [
        authors,
        published and f"{published} ({article['date_source']})",
        article["language"],
        article["completeness"],
    ]
    out.print(" · ".join(filter(None, about)), style="dim", markup=False, highlight=False)
    if article["lead"]:
        out.print(f"\n{article['lead']}", style="italic", markup=False, highlight=False)
    out.print(f"\n{article['text']}", markup=False, highlight=False)


def _print_topics(topics: list[dict[str, Any]]) -> None:
    if not topics:
        typer.echo("no topic")
    for topic in topics:
        typer.echo(f"{topic['id']}  score {topic['score']:g}, confidence {topic['confidence']:.2f}")
        for hit in topic["hits"]:
            typer.echo(f"  {hit['points']:+.2f}  {hit['field']}: {hit['term']}  « {hit['sentence']} »")


def _print_feed(feed: dict[str, Any]) -> None:
    entries = feed["entries"]
    out = show.console()
    table = show.table(f"{feed['format']}: {feed['title']}", "published", "title", "url")
    for entry in entries:
        table.add_row(show.when(entry["published"]), entry["title"], entry["canonical_url"])
    out.print(table)
    out.print(f"{len(entries)} entries, {feed['without_link']} items without a link", highlight=False)
    if feed["broken"]:
        out.print(f"broken: {feed['broken']}", style="yellow", markup=False, highlight=False)
