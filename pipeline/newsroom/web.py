"""HTTP/1.1 over what the newsroom has: conditional requests, gzip, HEAD, one port on loopback.

Does not know what is served; it asks for every request, and notes each when its answer has ended.
"""

import gzip
import logging
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import VeilleError
from pipeline.newsroom.access import Access
from pipeline.newsroom.hazards import CODING, EXACT, POURED
from pipeline.newsroom.site import HTML, Resource

ADDRESS = "127.0.0.1"
NOT_FOUND = "<!DOCTYPE html><html lang='fr'><title>Page introuvable</title><h1>Page introuvable</h1></html>\n"

log = logging.getLogger(__name__)

Answer = Callable[[str, str], tuple[Resource, str] | None]  # (host, path) → resource with its entity tag
Note = Callable[[Access], None]


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1; OSError if the port is taken. Knows its connections, so that it can end them."""

    daemon_threads = True
    allow_reuse_port = False  # a second server on the port must fail

    def __init__(self, port: int, answer: Answer, note: Note) -> None:
        self.answer, self.note = answer, note
        self._connections: set[Any] = set()
        super().__init__((ADDRESS, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def disconnect(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):  # the other side was faster
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(error := sys.exception(), OSError):  # the client went away or was too slow
            log.debug("connection broken: %r", error)
        else:
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "newsroom"
    sys_version = ""
    timeout = 30  # seconds; an idle connection is closed
    disable_nagle_algorithm = True  # head and body are two writes: Nagle would cost 40 ms between them

    def do_GET(self) -> None:
        arrived, began = datetime.now(UTC), time.monotonic()
        host = (self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")).lower()
        self._status = 0
        try:
            self._ask(host)
        finally:
            self.server.note(
                Access(
                    time=arrived,
                    seconds=round(time.monotonic() - began, 6),
                    host=host,
                    method=self.command,
                    path=self.path,
                    status=self._status,
                    conditional="If-None-Match" in self.headers or "If-Modified-Since" in self.headers,
                )
            )

    do_HEAD = do_GET  # noqa: N815 http.server's name

    def _ask(self, host: str) -> None:
        try:
            answer = self.server.answer(host, urlsplit(self.path).path)
        except VeilleError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"Content-Type": HTML}, f"{error}\n".encode())
            return
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, {"Content-Type": HTML}, NOT_FOUND.encode())
        else:
            self._answer(*answer)

    def _answer(self, resource: Resource, tag: str) -> None:
        headers = {
            "Content-Type": resource.content_type,
            "ETag": tag,
            "Last-Modified": format_datetime(resource.modified.astimezone(UTC), usegmt=True),
            "Vary": "Accept-Encoding",
        }
        if resource.location:
            self._send(HTTPStatus.MOVED_PERMANENTLY, headers | {"Location": resource.location}, resource.body)
        elif resource.status != HTTPStatus.OK:
            self._send(HTTPStatus(resource.status), headers, resource.body)
        elif self._is_fresh(tag, resource.modified):
            self._send(HTTPStatus.NOT_MODIFIED, headers, b"")
        elif resource.hazard:
            self._pour(resource, headers)
        elif self._accepts_gzip():
            packed = gzip.compress(resource.body, mtime=0)
            self._send(HTTPStatus.OK, headers | {"Content-Encoding": "gzip"}, packed)
        else:
            self._send(HTTPStatus.OK, headers, resource.body)

    def _pour(self, resource: Resource, headers: dict[str, str]) -> None:
        """A hazard ends with its connection; of most nobody knows beforehand how long they are."""
        if coding := CODING.get(resource.hazard):
            headers |= {"Content-Encoding": coding}
        if resource.hazard in EXACT:
            headers |= {"Content-Length": str(len(resource.body))}
        self._head(HTTPStatus.OK, headers | {"Connection": "close"})
        if self.command != "HEAD":
            for piece in POURED[resource.hazard](resource.body):
                self.wfile.write(piece)

    def _is_fresh(self, tag: str, modified: datetime) -> bool:
        """RFC 9110, 13.1: If-Modified-Since counts only without If-None-Match."""
        if tags := self.headers.get("If-None-Match"):
            known = {one.strip().removeprefix("W/") for one in tags.split(",")}
            return "*" in known or tag.removeprefix("W/") in known
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
        except ValueError:
            return False
        return since.tzinfo is not None and modified.replace(microsecond=0) <= since

    def _accepts_gzip(self) -> bool:
        codings = self.headers.get("Accept-Encoding", "").replace(" ", "").lower().split(",")
        return any(
            coding == "gzip" or (coding.startswith("gzip;q=") and not _is_zero(coding)) for coding in codings
        )

    def _send(self, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
        length = {} if status == HTTPStatus.NOT_MODIFIED else {"Content-Length": str(len(body))}
        self._head(status, headers | length)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self._status = status.value
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 base signature
        number = code.value if isinstance(code, HTTPStatus) else code
        headers = getattr(self, "headers", {})  # none yet if the request line was malformed
        log.debug("%s %s %s", headers.get("Host", "-"), self.requestline, number)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        log.debug(format, *args)


def _is_zero(coding: str) -> bool:
    return not coding.partition(";q=")[2].strip("0.")
