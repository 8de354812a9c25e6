"""Invented sites on loopback, and entries that lead to them."""

import json
import time
from datetime import UTC, datetime, timedelta

from hostile_server import Server

from pipeline.model import Feed, FeedEntry
from pipeline.stages import discover

PAGE = b"<html><title>Une</title><p>Un texte.</p></html>"


class Site:
    """A server whose paths answer what `answers` says; all other paths are pages, robots.txt is empty."""

    def __init__(self, answers=None, name="press.localhost"):
        self.name = name
        self.answers = answers or {}
        self.times = []  # of each request: when its head had come, and when its answer had gone
        self.server = Server(self._timed)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)

    @property
    def host(self):
        return f"{self.name}:{self.server.port}"

    @property
    def paths(self):
        return [head.split(" ")[1] for head in self.server.heads]

    def url(self, path):
        return self.server.url(path, self.name)

    def _timed(self, talk):
        started = time.monotonic()
        try:
            self._answer(talk)
        finally:
            self.times.append((started, time.monotonic()))

    def _answer(self, talk):
        answer = self.answers.get(talk.path)
        if answer:
            answer(talk)
        else:
            talk.answer("200 OK", b"" if talk.path == "/robots.txt" else PAGE, "Content-Type: text/html")


def listed(runtime, *urls):
    """Make these URLs entries that are due."""
    found = tuple(
        FeedEntry(url=url, canonical_url=url, title="Un titre", summary="Un chapeau.") for url in urls
    )
    at = datetime.now(UTC) - timedelta(minutes=1)
    discover.import_feed(
        runtime, "run", "http://feed.localhost/", json.dumps(urls).encode(), Feed("rss", found), at=at
    )


def query(runtime, sql, *values):
    with runtime.store.transaction("look") as tx:
        cursor = tx.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
