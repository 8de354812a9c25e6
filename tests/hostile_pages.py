"""Generated pages that no reader should choke on: name, and the page in three sizes."""

import random
from collections.abc import Callable, Iterator

SIZES = ("small", "medium", "large")
SENTENCE = (
    "Le conseil municipal a voté mardi soir le budget de l'année prochaine, en hausse de deux pour cent. "
)
ARTICLE = f"<article><h1>Le budget est voté</h1>{f'<p>{SENTENCE * 3}</p>' * 6}</article>"


def page(body: str, head: str = "") -> bytes:
    start = f"<!DOCTYPE html><html lang=fr><head><title>Essai</title>{head}</head>"
    return f"{start}<body>{body}</body></html>".encode()


def _nested(tag: str) -> Callable[[int], bytes]:
    return lambda n: page(f"<{tag}>" * n + f"<p>{SENTENCE * 5}</p>" + f"</{tag}>" * n)


def _random(n: int) -> bytes:
    return random.Random(n).randbytes(n)


def _random_tags(n: int) -> bytes:
    rng = random.Random(n)
    tags = (
        "div",
        "p",
        "span",
        "a",
        "table",
        "tr",
        "td",
        "ul",
        "li",
        "b",
        "h1",
        "article",
        "form",
        "svg",
        "select",
    )
    return page("".join(f"<{'/' * rng.randint(0, 1)}{rng.choice(tags)}> mot " for _ in range(n)))


SHAPES: dict[str, tuple[Callable[[int], bytes], tuple[int, int, int]]] = {
    "nested divs": (_nested("div"), (300, 2_000, 100_000)),
    "nested spans": (_nested("span"), (300, 2_000, 100_000)),
    "nested tables": (lambda n: page("<table><tr><td>" * n + SENTENCE * 5), (100, 1_000, 30_000)),
    "nested lists": (lambda n: page("<ul><li>" * n + SENTENCE * 5), (150, 1_000, 50_000)),
    "nested quotes": (_nested("blockquote"), (300, 2_000, 100_000)),
    "attributes on a tag": (
        lambda n: page(f"<div {' '.join(f'a{i}=b' for i in range(n))}>{ARTICLE}</div>"),
        (3_000, 50_000, 300_000),
    ),
    "one long attribute": (
        lambda n: page(f"<img src='data:{'A' * n}'>{ARTICLE}"),
        (10_000, 1_000_000, 9_000_000),
    ),
    "spans": (lambda n: page("<span>mot</span> " * n), (10_000, 29_000, 200_000)),
    "links": (
        lambda n: page("".join(f"<a href=/{i}>mot {i}</a> " for i in range(n))),
        (10_000, 29_000, 100_000),
    ),
    "paragraphs": (lambda n: page("".join(f"<p>mot {i}" for i in range(n))), (10_000, 58_000, 300_000)),
    "dated paragraphs": (
        lambda n: page("".join(f"<p>Publié le {i % 28 + 1} mars 2024" for i in range(n))),
        (10_000, 58_000, 200_000),
    ),
    "list items": (lambda n: page("<ul>" + "<li>mot mot mot" * n), (10_000, 58_000, 300_000)),
    "line breaks": (lambda n: page("mot<br>" * n), (10_000, 58_000, 500_000)),
    "text node": (lambda n: page(f"<p>{'mot ' * (n // 4)}</p>"), (100_000, 2_000_000, 18_000_000)),
    "one long word": (lambda n: page(f"<p>{'a' * n}</p>"), (100_000, 2_000_000, 9_000_000)),
    "unclosed tags": (lambda n: page("<div><p><b><i><a href=x>mot " * n), (100, 2_000, 50_000)),
    "unclosed headings": (lambda n: page("<h1>mot " * n), (1_000, 50_000, 300_000)),
    "table cells": (
        lambda n: page(f"<table>{('<tr>' + '<td>mot' * 10) * (n // 10)}</table>"),
        (5_000, 50_000, 300_000),
    ),
    "inline script": (
        lambda n: page(ARTICLE, f"<script>var a='{'x<y;' * (n // 4)}'</script>"),
        (10_000, 200_000, 9_000_000),
    ),
    "script of JSON-LD": (
        lambda n: page(ARTICLE, f"<script type=application/ld+json>{'[' * n}{']' * n}</script>"),
        (900, 50_000, 3_000_000),
    ),
    "JSON-LD nodes": (
        lambda n: page(
            ARTICLE,
            "<script type=application/ld+json>[" + '{"@type":"Article","headline":"a"},' * n + "{}]</script>",
        ),
        (1_000, 20_000, 200_000),
    ),
    "NULs": (lambda n: page(ARTICLE).replace(b" ", b"\0 " * n), (1, 100, 3_000)),
    "only NULs": (lambda n: b"\0" * n, (10, 10_000, 9_000_000)),
    "open brackets": (lambda n: b"<" * n, (1_000, 100_000, 9_000_000)),
    "comments": (lambda n: page("<!-- x --" * n + ARTICLE), (1_000, 50_000, 900_000)),
    "entities": (lambda n: page(f"<p>{'&amp;' * n}</p>{ARTICLE}"), (10_000, 200_000, 1_800_000)),
    "numeric entities": (
        lambda n: page(f"<p>{'&#xD800;&#0;&#x110000;' * n}</p>{ARTICLE}"),
        (100, 10_000, 400_000),
    ),
    "meta tags": (
        lambda n: page(ARTICLE, "<meta name=author content='Anne Duval'>" * n),
        (1_000, 20_000, 200_000),
    ),
    "times": (
        lambda n: page(ARTICLE + "<time class=published datetime=2024>x</time>" * n),
        (1_000, 20_000, 200_000),
    ),
    "microdata": (
        lambda n: page("<div itemprop='author headline articleBody'>mot " * n + ARTICLE),
        (200, 5_000, 200_000),
    ),
    "double coding": (lambda n: page("<p>" + "Ã©tÃ© " * n), (1_000, 100_000, 1_000_000)),
    "random bytes": (_random, (1_000, 200_000, 5_000_000)),
    "random tags": (_random_tags, (1_000, 20_000, 300_000)),
    "forms": (lambda n: page("<form><select>" + "<option>mot" * n), (1_000, 50_000, 300_000)),
}


def pages(size: str) -> Iterator[tuple[str, bytes]]:
    """Every shape in one size."""
    for name, (make, sizes) in SHAPES.items():
        yield name, make(sizes[SIZES.index(size)])
