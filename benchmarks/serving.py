"""A server of pages and feeds on loopback, in a process of its own so that its cost is not Veille's.

`python -m benchmarks.serving FEEDS SHELF…` serves a folder of feeds and shelves of pages, and says its port.
Of each host, /feed.xml lists that host's pages, which any host shows; /feed-N.xml is the N-th feed of the
folder, answered with "not modified" to whom knows it; /same-N.xml is that feed without validators.
"""

import contextlib
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks import children
from benchmarks.pages import FEED

Answer = tuple[str, bytes, str]  # type, gzipped body, ETag


@contextlib.contextmanager
def served(scratch: Path, feeds: Path, *shelves: Path) -> Iterator[int]:
    """The port of a server."""
    with children.started(scratch, "-m", "benchmarks.serving", feeds, *shelves) as child:
        yield int(child.ask())


def write_config(folder: Path, port: int, feeds: Mapping[str, Sequence[str]]) -> Path:
    """A catalogue of hosts with the paths of their feeds, and the shipped topics; returns the folder."""
    from pipeline.installation import ROOT

    publishers = [
        {
            "id": name.partition(".")[0],
            "name": name.partition(".")[0],
            "family": "",
            "country": "FR",
            "domains": [name],
            "feeds": [{"url": f"http://{name}:{port}{path}"} for path in paths],
        }
        for name, paths in feeds.items()
    ]
    folder.mkdir(parents=True)
    (folder / "sources.yaml").write_text(json.dumps({"publishers": publishers}))  # JSON is YAML
    (folder / "topics").symlink_to(ROOT / "config" / "topics")
    return folder


def _answers(feeds: Path, shelves: Sequence[Path], port: int) -> dict[tuple[str, str], Answer]:
    """What is answered, by host (empty: any) and path."""
    found: dict[tuple[str, str], Answer] = {}
    for shelf in shelves:
        rows = json.loads((shelf / "pages.json").read_text())
        for number, row in enumerate(rows):
            found["", row["path"]] = ("text/html", (shelf / f"{number}.html.gz").read_bytes(), "")
        for name in {row["host"] for row in rows}:
            found[name, FEED] = _feed([row for row in rows if row["host"] == name], port)
    for number, file in enumerate(sorted(feeds.iterdir())):
        kind, body, tag = _tagged(file.read_bytes())
        found["", f"/feed-{number}.xml"] = (kind, body, tag)
        found["", f"/same-{number}.xml"] = (kind, body, "")
    return found


def _feed(rows: list[dict[str, str]], port: int) -> Answer:
    """A feed of these pages. It gives no dates, so that all of a page's own are looked for."""
    items = "".join(
        f"<item><title>Article {escape(row['path'])}</title>"
        f"<link>{escape('http://{host}:{port}{path}'.format(port=port, **row))}</link>"
        f"<description>Chapeau de l’article.</description></item>"
        for row in rows
    )
    head = "<title>Presse</title><link>http://localhost/</link><description/>"
    return _tagged(f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{items}</channel></rss>'.encode())


def _tagged(body: bytes) -> Answer:
    return (
        "application/rss+xml",
        gzip.compress(body, 5, mtime=0),
        f'"{hashlib.sha256(body).hexdigest()[:16]}"',
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers: dict[tuple[str, str], Answer]

    def do_GET(self) -> None:
        name = (self.headers["Host"] or "").partition(":")[0]
        found = self.answers.get((name, self.path)) or self.answers.get(("", self.path))
        if found is None:
            self._send(404, b"")
            return
        kind, body, tag = found
        known = bool(tag) and self.headers.get("If-None-Match") == tag
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"} | ({"ETag": tag} if tag else {})
        self._send(304 if known else 200, b"" if known else body, **headers)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def main() -> None:
    """Serve until whoever started this ends it."""
    feeds, *shelves = map(Path, sys.argv[1:])
    server = _Server(("127.0.0.1", 0), _Handler)
    _Handler.answers = _answers(feeds, shelves, server.server_address[1])
    print(server.server_address[1], flush=True)  # noqa: T201  the answer
    server.serve_forever()


if __name__ == "__main__":
    main()
