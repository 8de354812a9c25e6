"""`veille language`, `tag` and `compare`: one text at a time, or many as NDJSON.

Needs no store, and keeps nothing.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pipeline.cli import console as show
from pipeline.cli import lines
from pipeline.cli.options import Json, Ndjson, alone, given
from pipeline.errors import Unparsable
from pipeline.model import Hit
from pipeline.reading import PAGE_CAP
from pipeline.runtime import Runtime
from pipeline.settings import from_environment


def language(
    source: Annotated[str, typer.Argument(help="A text file, or - for standard input.")] = "",
    ndjson: Ndjson = False,
    json: Json = False,
) -> None:
    """Say in which language a text is.

    NDJSON in: {"text"}.
    """
    if ndjson:
        alone(source, json)
        lines.answer(lambda record: _language(lines.text(record, "text")))
        return
    found = _language(_text(given(source, "a text file")))
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

    def work(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        fields = [lines.text(record, name, "") for name in ("title", "lead", "text")]
        topics = sorted(
            tagger.tag(*fields, language=lines.text(record, "language", "fr")), key=lambda tag: -tag.score
        )
        return {
            "topics": [
                {"id": t.topic, "score": t.score, "confidence": t.confidence, "hits": t.hits} for t in topics
            ]
        }

    if ndjson:
        alone(source, json)
        lines.answer(work)
        return
    title, text = _titled(given(source, "a text file"))
    found = work({"title": title, "text": text})
    if json:
        show.emit(found)
        return
    if not found["topics"]:
        typer.echo("no topic")
    for topic in found["topics"]:
        print_topic(topic["id"], topic["score"], topic["confidence"], topic["hits"])


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
        alone(first, second, json)
        lines.answer(work)
        return
    sides = [
        dict(zip(("title", "text"), _titled(given(side, "two text files")), strict=True))
        for side in (first, second)
    ]
    found = show.plain(work({"a": sides[0], "b": sides[1]}))
    if json:
        show.emit(found)
    else:
        typer.echo(
            f"{_RELATION[found['relation']]}: "
            f"{found['containment_ab']:.0%} of the first stands in the second, "
            f"{found['containment_ba']:.0%} of the second in the first (Jaccard {found['jaccard']:.2f})"
        )


_RELATION = {"same": "the same text", "copy": "a copy", "none": "no copy"}


def _text(path: str) -> str:
    name = "standard input" if path == "-" else path
    raw = _standard_input() if path == "-" else show.read_bytes(path, PAGE_CAP)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unparsable(
            f"{name} is not UTF-8 text (byte {error.start})", hint="veille extract reads saved pages"
        ) from error
    if not text.strip():
        raise Unparsable(
            f"{name} holds no text", hint="the title stands on the first line, the text below it"
        )
    return text


def _standard_input() -> bytes:
    try:
        return show.read_capped(lines.stdin(), "standard input", PAGE_CAP)
    except OSError as error:
        raise lines.unreadable(error) from error


def _titled(path: str) -> tuple[str, str]:
    """A text file's first line and the rest; one line alone is a text without a title."""
    title, several, text = _text(path).strip().partition("\n")
    return (title.strip(), text.strip()) if several else ("", title)


def _language(text: str) -> dict[str, object]:
    from pipeline.reading.language import detect

    code, confidence = detect(text)
    return {"language": code, "confidence": confidence}


def print_topic(name: str, score: float, confidence: float, hits: Sequence[Hit]) -> None:
    """A topic that a text carries, with every hit that made it so."""
    out = show.console()
    out.print(f"{name}: score {score:g}, confidence {confidence:.2f}", style="bold", highlight=False)
    for hit in hits:
        points = f"{hit.points:+.2f}" if hit.points else "needed"
        out.print(show.hanging(f"{points:>8}  ", f"{hit.field}: {hit.term}  « {hit.sentence} »"))
