"""A proxy on loopback that does to requests what bad days do, before a real search server.

Knows what a batch of Elasticsearch looks like, as far as it has to put off single documents. Judges nothing.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
ELASTIC = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Elastic-Product: Elasticsearch"
BUSY = {"error": {"type": "es_rejected_execution_exception", "reason": "rejected", "root_cause": []}}


@dataclass
class Seen:
    """One request: when it came, where to, and what was done to it; empty if it was let through.

    `documents` are those of a batch.
    """

    at: float
    path: str
    fault: str
    documents: int = 0


@dataclass
class Exchange:
    """A request, and where its answer goes."""

    writer: asyncio.StreamWriter
    head: bytes
    body: bytes


@dataclass
class FaultProxy:
    """Passes on what comes, until `fault` names what is done to every request instead.

    429, 502, 503, stall, reset: it does not reach the server. truncated, cut, applied: it does, and the
    answer is cut within its JSON or within its length, or never comes. empty: a batch is answered with
    nothing in it. items: a third of a batch is put off.
    mixed: each time another of these, or none.
    """

    upstream: str
    tls: object = None  # an SSLContext, to be met over https
    fault: str = ""
    seen: list[Seen] = field(default_factory=list)

    FAULTS = ("429", "502", "503", "stall", "reset", "truncated", "cut", "applied", "empty", "items")

    def __enter__(self) -> Self:
        self._chance = random.Random(5)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._tasks: set[asyncio.Task] = set()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, limit=1 << 26)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(20)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def failed(self) -> list[Seen]:
        """The requests that failed as a whole."""
        return [one for one in self.seen if one.fault not in ("", "items")]

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader, writer) -> bool:
        """Answer one request; whether the connection is good for another."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        body = await reader.readexactly(length)
        path = head.split(b" ", 2)[1].decode()
        fault = self._chosen(path)
        documents = len(_operations(body)) if "_bulk" in path else 0
        self.seen.append(Seen(time.monotonic(), path, fault, documents))
        return await getattr(self, f"_{fault or 'pass'}")(Exchange(writer, head, body))

    def _chosen(self, path: str) -> str:
        fault = self.fault
        if fault == "mixed":
            fault = self._chance.choice([*self.FAULTS, ""])
        return "" if fault in {"items", "empty"} and "_bulk" not in path else fault

    async def _answer(self, asked: Exchange) -> tuple[bytes, bytes]:
        """What the server answers: head and body."""
        where = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=1 << 26)
        body = asked.body
        lines = [
            line
            for line in asked.head.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith((b"connection:", b"content-length:", b"accept-encoding:"))
        ]
        length = b"Content-Length: %d" % len(body)
        writer.write(b"\r\n".join([*lines, length, b"Connection: close", b"", body]))
        answer = await reader.read()
        writer.close()
        answered, _, content = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in answered.lower():
            content = _unchunked(content)
        return answered, content

    async def _reply(self, writer, head: bytes, body: bytes, *, length: int | None = None) -> bool:
        lines = [
            line
            for line in head.split(b"\r\n")
            if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"connection:"))
        ]
        size = b"Content-Length: %d" % (len(body) if length is None else length)
        writer.write(b"\r\n".join([*lines, size, b"", body]))
        await writer.drain()
        return length is None

    async def _pass(self, asked: Exchange) -> bool:
        return await self._reply(asked.writer, *await self._answer(asked))

    async def _429(self, asked: Exchange) -> bool:
        return await self._say(
            asked.writer, "429 Too Many Requests", json.dumps(BUSY | {"status": 429}).encode()
        )

    async def _503(self, asked: Exchange) -> bool:
        return await self._say(
            asked.writer, "503 Service Unavailable", json.dumps(BUSY | {"status": 503}).encode()
        )

    async def _502(self, asked: Exchange) -> bool:
        return await self._say(asked.writer, "502 Bad Gateway", HTML, kind="text/html")

    async def _say(self, writer, status: str, body: bytes, kind: str = "application/json") -> bool:
        return await self._reply(writer, f"HTTP/1.1 {status}\r\nContent-Type: {kind}".encode(), body)

    async def _stall(self, _: Exchange) -> bool:
        await asyncio.sleep(3600)
        return False

    async def _reset(self, asked: Exchange) -> bool:
        linger = struct.pack("ii", 1, 0)
        asked.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        asked.writer.transport.abort()
        return False

    async def _truncated(self, asked: Exchange) -> bool:
        answered, content = await self._answer(asked)
        return await self._reply(asked.writer, answered, content[: len(content) // 2])

    async def _cut(self, asked: Exchange) -> bool:
        answered, content = await self._answer(asked)
        return await self._reply(asked.writer, answered, content[: len(content) // 2], length=len(content))

    async def _applied(self, asked: Exchange) -> bool:
        await self._answer(asked)
        return await self._stall(asked)

    async def _empty(self, asked: Exchange) -> bool:
        return await self._reply(asked.writer, ELASTIC, b"{}")

    async def _items(self, asked: Exchange) -> bool:
        """Every third document, by chance, is put off; the others reach the server."""
        operations = _operations(asked.body)
        put_off = [self._chance.random() < 0.3 for _ in operations]
        passed = b"".join(one for one, off in zip(operations, put_off, strict=True) if not off)
        answered, content = (
            await self._answer(Exchange(asked.writer, asked.head, passed))
            if passed
            else (b"", b'{"items": []}')
        )
        if not passed:
            answered = ELASTIC
        answers = iter(json.loads(content)["items"])
        items = [{"index": {"status": 429, **BUSY}} if off else next(answers) for off in put_off]
        return await self._reply(asked.writer, answered, json.dumps({"items": items}).encode())


def _operations(body: bytes) -> list[bytes]:
    found, lines = [], body.splitlines(keepends=True)
    while lines:
        size = 1 if b'"delete"' in lines[0][:12] else 2
        found.append(b"".join(lines[:size]))
        lines = lines[size:]
    return found


def _unchunked(content: bytes) -> bytes:
    whole = b""
    while content:
        size, _, rest = content.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        content = rest[int(size, 16) + 2 :]
    return whole
