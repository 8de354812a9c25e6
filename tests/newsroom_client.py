"""Asking the sample newsroom as a reader would, and reading what it answers."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode()


@dataclass(frozen=True)
class Entry:
    """An entry of a feed, whatever its format, as strings."""

    title: str
    summary: str
    link: str
    id: str
    updated: str
    author: str


def get(newsroom, url, method="GET", **headers: str):
    """Ask for `url`, or for a path of the first publisher."""
    parts = urlsplit(url)
    host = parts.netloc or newsroom.hosts[0]
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection("127.0.0.1", newsroom.port, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Host": host} | sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def entries(body, content_type):
    """(version of the format, entries, whether it is broken) of a feed as feedparser or JSON sees it."""
    if "json" in content_type:
        feed = json.loads(body)
        return feed["version"], [_json_entry(item) for item in feed["items"]], False
    import feedparser

    feed = feedparser.parse(body, response_headers={"content-type": content_type})
    return feed.version, [_entry(entry) for entry in feed.entries], bool(feed.bozo)


def plain(text):
    return " ".join(text.split())


def _json_entry(item):
    return Entry(
        item["title"],
        item["content_text"],
        item["url"],
        item["id"],
        item["date_modified"],
        item["authors"][0]["name"],
    )


def _entry(entry):
    return Entry(
        entry.title,
        entry.summary,
        entry.link,
        entry.id,
        dict.get(entry, "updated") or entry.published,  # past an alias of feedparser that warns
        entry.author,
    )
