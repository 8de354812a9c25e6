"""Commands that need no store: one page, one text, one feed, one URL at a time, or many as NDJSON."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pipeline.cli import console as show
from pipeline.cli import lines
from pipeline.errors import NotFound, Permanent, Unparsable
from pipeline.model import Article, Claims, Feed
from pipeline.runtime import Runtime
from pipeline.settings import from_environment

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Ndjson = Annotated[
    bool, typer.Option("--ndjson", help="Read one JSON object a line on standard input, write one each.")
]

PAGE_CAP = 10 << 20  # bytes, as in `stages.fetch`; texts are shorter
FEED_CAP = 15 << 20  # bytes, as in `stages.discover`
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
            lines.answer(lambda record: _extract_line(runtime, record), abreast=runtime.workers.count)
            return
        article = _extract(runtime, *_page(runtime, _given(source, "a file or a URL")))
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
        lines.answer(lambda record: _language(lines.text(record, "text")))
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
        fields = [lines.text(record, name, "") for name in ("title", "lead", "text")]
        topics = tagger.tag(*fields, language=lines.text(record, "language", "fr"))
        return {
            "topics": [
                {"id": t.topic, "score": t.score, "confidence": t.confidence, "hits": t.hits} for t in topics
            ]
        }

    if ndjson:
        lines.answer(work)
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
        return fingerprints.compare(
            lines.text(record, "a.title", ""),
            lines.text(record, "a.text"),
            lines.text(record, "b.title", ""),
            lines.text(record, "b.text"),
        )

    if ndjson:
        lines.answer(work)
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
        address = lines.text(record, "url")
        named = lines.text(record, "publisher", "")
        form = urls.canonical(address)
        publisher = catalogue.publisher(named) if named else catalogue.publisher_of(urls.host_of(form))
        return {"url": form, "keys": [f"{key.kind}:{key.value}" for key in urls.keys(address, publisher)]}

    if ndjson:
        lines.answer(work)
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
                    "body": show.read_bytes(lines.text(record, "path"), FEED_CAP),
                    "url": lines.text(record, "url", "") or "https://feed.invalid/",
                    "content_type": lines.text(record, "content_type", ""),
                },
            )
            assert isinstance(feed, Feed)
            return _feed(feed)

        if ndjson:
            lines.answer(work)
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
    if path == "-":
        raw = show.read_capped(lines.stdin(), "standard input", PAGE_CAP)
    else:
        raw = show.read_bytes(path, PAGE_CAP)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unparsable(f"{path} is not UTF-8 text (byte {error.start})") from error


def _titled(path: str) -> tuple[str, str]:
    """A text file's first line and the rest; one line alone is a text without a title."""
    title, several, text = _text(path).strip().partition("\n")
    return (title.strip(), text.strip()) if several else ("", title)


def _language(text: str) -> dict[str, object]:
    from pipeline.reading.language import detect

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


def _page(runtime: Runtime, source: str) -> tuple[bytes, str, str]:
    """The bytes behind a file name or URL, the URL and the Content-Type."""
    if urlsplit(source).scheme not in ("http", "https"):
        return show.read_bytes(source, PAGE_CAP), f"https://file.invalid/{Path(source).name}", ""
    from pipeline.cli.visits import Visit

    fetched = Visit(runtime).fetch(source, cap=PAGE_CAP)
    response = fetched.response
    if not 200 <= response.status < 300 or response.truncated:  # noqa: PLR2004
        raise NotFound(
            f"{source} cannot be read: the server answered {response.status} {response.reason}".rstrip()
        )
    return response.body, fetched.url, response.content_type


def _extract_line(runtime: Runtime, record: dict[str, Any]) -> dict[str, object]:
    url = lines.text(record, "url")
    at = lines.text(record, "fetched_at", "")
    content_type = lines.text(record, "content_type", "")
    if record.get("html") is None:
        body = show.read_bytes(lines.text(record, "path"), PAGE_CAP)
    else:
        body = lines.text(record, "html").encode()
        content_type = "text/html; charset=utf-8"
    return _extract(runtime, body, url, content_type, _moment(at) if at else None)


def _extract(
    runtime: Runtime, body: bytes, url: str, content_type: str, fetched_at: datetime | None = None
) -> dict[str, object]:
    article = runtime.workers.run(
        "extract",
        {
            "html": body,
            "url": url,
            "fetched_at": fetched_at or datetime.now(UTC),
            "claims": Claims(),
            "content_type": content_type,
        },
    )
    assert isinstance(article, Article)
    return {name: show.plain(getattr(article, name)) for name in EXTRACT_FIELDS}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unparsable(f"the field 'fetched_at' is {text[:40]!r}; 2024-01-26T11:00 is expected") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
            points = f"{hit['points']:+.2f}" if hit["points"] else "needed"
            typer.echo(f"  {points}  {hit['field']}: {hit['term']}  « {hit['sentence']} »")


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
