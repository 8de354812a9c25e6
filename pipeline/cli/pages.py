"""`veille extract` and `veille canonical`: one page, one address at a time, or many as NDJSON.

Needs no store, and keeps nothing.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pipeline.cli import console as show
from pipeline.cli import lines
from pipeline.cli.options import WHOLE_ADDRESS, Json, Ndjson, advice, alone, as_address, given, moment
from pipeline.errors import NotFound, Unparsable
from pipeline.model import Article, Claims
from pipeline.reading import PAGE_CAP
from pipeline.runtime import Runtime
from pipeline.settings import from_environment

SAVED = "save the page in a browser, and give the file"
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
            alone(source, json)
            lines.answer(lambda record: _extract_line(runtime, record), abreast=runtime.workers.count)
            return
        page = _page(runtime, given(source, "a file or a URL"))
        try:
            article = _extract(runtime, *page)
        except Unparsable as error:
            raise Unparsable(
                f"{source}: {error}", hint="an article's page is expected; veille feeds parse reads feeds"
            ) from error
    if json:
        show.emit(article)
    else:
        _print_article(article)


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
        alone(url, json)
        lines.answer(work)
        return
    with advice(WHOLE_ADDRESS):
        found = work({"url": given(url, "a URL")})
    if json:
        show.emit(found)
    else:
        typer.echo(found["url"])
        for key in found["keys"]:  # type: ignore[attr-defined]  # a list, made above
            typer.echo(f"  {key}")


def _page(runtime: Runtime, source: str) -> tuple[bytes, str, str]:
    """The bytes behind a file name or URL, the URL and the Content-Type."""
    try:
        scheme = urlsplit(source).scheme
    except ValueError as error:
        raise Unparsable(f"{source!r} is no address: {error}", hint=WHOLE_ADDRESS) from error
    if scheme not in ("http", "https"):
        return show.read_bytes(source, PAGE_CAP), as_address(source, base="https://file.invalid/"), ""
    from pipeline.cli.visits import Visit

    with advice(SAVED):
        fetched = Visit(runtime).fetch(source, cap=PAGE_CAP)
    response = fetched.response
    if not 200 <= response.status < 300 or response.truncated:  # noqa: PLR2004
        raise NotFound(f"{source} cannot be read: {response.said}", hint=SAVED)
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
    return _extract(
        runtime, body, url, content_type, moment(at, UTC, "the field 'fetched_at'") if at else None
    )


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


def _print_article(article: dict[str, Any]) -> None:
    out = show.console()
    out.print(article["title"], style="bold", markup=False, highlight=False)
    authors = ", ".join(article["authors"])
    published = show.when(article["published"])
    about = [
        authors,
        published and f"{published}, Paris time ({article['date_source']})",
        article["language"],
        article["completeness"],
    ]
    out.print(" · ".join(filter(None, about)), style="dim", markup=False, highlight=False)
    if article["lead"]:
        out.print(f"\n{article['lead']}", style="italic", markup=False, highlight=False)
    out.print(f"\n{article['text']}", markup=False, highlight=False)
