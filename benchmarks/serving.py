"""A server of pages and feeds on loopback, in a process of its own so that its cost is not Veille's.

`python -m benchmarks.serving SHELF FEEDS` serves the shelf of pages and the folder of feeds, and says its
port. Any host shows the same. Of each host, /feed.xml lists that host's pages; /feed-N.xml is the N-th feed
of the folder, answered with "not modified" to whom knows it; /same-N.xml is that feed without validators.
"""

import contextlib
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks import children
from benchmarks.pages import host

Answer = tuple[str, bytes, str]  # type, gzipped body, ETag


@contextlib.contextmanager
def served(scratch: Path, shelf: Path, feeds: Path) -> Iterator[int]:
    """The port of a server."""
    with children.started(scratch, "-m", "benchmarks.serving", shelf, feeds) as child:
        yield int(child.ask())


def write_config(folder: Path, port: int, feeds: list[list[str]]) -> Path:
    """A catalogue of hosts, each with feeds at these paths, and the shipped topics; returns the folder."""
    from pipeline.settings import ROOT

    publishers = [
        {
            "id": f"presse-{number}",
            "name": f"Presse {number}",
            "family": "",
            "country": "FR",
            "domains": [host(number)],
            "feeds": [{"url": f"http://{host(number)}:{port}{path}"} for path in paths],
        }
        for number, paths in enumerate(feeds)
    ]
    folder.mkdir(parents=True)
    (folder / "sources.yaml").write_text(json.dumps({"publishers": publishers}))  # JSON is YAML
    (folder / "topics").symlink_to(ROOT / "config" / "topics")
    return folder


def _answers(shelf: Path, feeds: Path, port: int) -> dict[tuple[str, str], Answer]:
    """What is answered, by host (empty: any) and path."""
    rows = json.loads((shelf / "pages.json").read_text())
    found = {
        ("", row["path"]): ("text/html", (shelf / f"{number}.html.gz").read_bytes(), "")
        for number, row in enumerate(rows)
    }
    for name in {row["host"] for row in rows}:
        found[name, "/feed.xml"] = _feed([row for row in rows if row["host"] == name], port)
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
    server = _Server(("127.0.0.1", 0), _Handler)
    _Handler.answers = _answers(Path(sys.argv[1]), Path(sys.argv[2]), server.server_address[1])
    print(server.server_address[1], flush=True)  # noqa: T201  the answer
    server.serve_forever()


if __name__ == "__main__":
    main()
