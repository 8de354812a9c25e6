"""The archive: every fetched page and changed feed as WARC 1.1, request and response with their headers.

Does not decide what is kept, nor for how long; rows of the store point into it by `Pointer`.

One writer per file (flock); a record pair is built whole in memory and written by one `write`, so a reader
sees it whole or not at all. Measured on the alternative: several writers on one file lost 794 of 800
records, and a torn record hides all that follow it.
"""

import contextlib
import errno
import fcntl
import functools
import gzip
import io
import itertools
import logging
import os
import re
import signal
import socket
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pipeline import failpoints
from pipeline.disk import sync_names
from pipeline.errors import NotFound, Transient, Unparsable
from pipeline.web.responses import Headers, Response

# A torn tail is found by reading the file once, while all who append wait: 32 MB take 0.6 s of CPU where
# servers sent plain pages, 0.14 s where they sent gzip (256 MB: 4.5 s).
MAX_FILE_BYTES = 32 << 20
_GZIP = zlib.MAX_WBITS | 16
_MEMBER = re.compile(rb"\x1f\x8b\x08")  # how every gzip member begins (RFC 1952, 2.3.1)
_MEMBER_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, nothing said of date and system
_MEMBER_END = struct.Struct("<II")  # checksum and length (2.3.1)
_RECORD_END = b"\r\n\r\n"
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_MASK = "X-Crawler-"
_GZIP_LEVEL = 1  # pages arrive compressed or compress well at any level; 1 costs a third of 6

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a response lies: a file of the archive, and the offset and length in bytes of its WARC record."""

    file: str
    offset: int
    length: int


class Archive:
    """A folder of WARC files, shared by any number of processes and hosts. Safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._name = ""

    def append(self, responses: Sequence[Response]) -> list[Pointer]:
        """Write the responses with their requests, flush them, and return where each response lies.

        Raises Transient where the folder cannot be written (full, read-only).
        """
        pairs = [_records(response) for response in responses]
        with self._lock, _translated(self.folder):
            block = b"".join(part for pair in pairs for part in pair)
            fd, start = self._open(len(block))
            _write(fd, block)
            pointers = []
            for response, request in pairs:
                pointers.append(Pointer(self._name, start, len(response)))
                start += len(response) + len(request)
            return pointers

    def read(self, pointer: Pointer) -> tuple[list[tuple[str, str]], bytes]:
        """The response's headers and its body, content coding undone.

        Raises NotFound where the record is not there (removed by retention, cut off, another disk) and
        Unparsable where it is damaged.
        """
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed

        try:
            with (self.folder / pointer.file).open("rb") as file:
                file.seek(pointer.offset)
                raw = file.read(pointer.length)
        except OSError as error:
            raise NotFound(f"the archive has no {pointer.file}: {error.strerror}") from error
        if len(raw) != pointer.length:
            raise NotFound(f"the archive's {pointer.file} ends before the record at {pointer.offset} does")
        try:
            record_bytes = gzip.decompress(raw)  # warcio would check neither its end nor its sum
            for record in ArchiveIterator(io.BytesIO(record_bytes)):
                return list(record.http_headers.headers), record.content_stream().read()
        except (ArchiveLoadFailed, EOFError, OSError, zlib.error) as error:
            raise Unparsable(f"the archive's {pointer.file} is damaged at {pointer.offset}") from error
        raise Unparsable(f"the archive's {pointer.file} holds no record at {pointer.offset}")

    def close(self) -> None:
        """Let go of the file, so that another process may go on with it."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _open(self, size: int) -> tuple[int, int]:
        """Hold a file with room for `size` more bytes; return it and its end."""
        if self._fd is not None:
            end = os.fstat(self._fd).st_size
            if end + size <= MAX_FILE_BYTES:
                return self._fd, end
            os.close(self._fd)
            self._fd = None
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        (self.folder / day).mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            name = f"{day}/{socket.gethostname()}-{number:04}.warc.gz"
            fd = _claim(self.folder / name, size)
            if fd is not None:
                self._fd, self._name = fd, name
                return fd, os.fstat(fd).st_size
        raise AssertionError("unreachable: the numbers never end")


def _claim(path: Path, size: int) -> int | None:
    """Open the file, lock it and cut its torn tail.

    None where another process holds it, `size` bytes do not fit or it is damaged.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    with contextlib.ExitStack() as refused:
        refused.callback(os.close, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        end = os.fstat(fd).st_size
        if end and end + size > MAX_FILE_BYTES:
            return None
        if not _cut_torn_tail(fd):
            log.error("a file of the archive is damaged, it is left as it is", extra={"file": str(path)})
            return None
        if not end:  # a new file: a row must not outlive, in a power cut, the names of what it points to
            sync_names(path.parent)
            sync_names(path.parent.parent)
        refused.pop_all()
    return fd


def _cut_torn_tail(fd: int) -> bool:
    """Cut the file back to its last whole record, as a crash or a power cut may have left it.

    False, and nothing is cut, where whole records follow what is broken: rows may point to them. The caller
    holds the file's lock.
    """
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(os.dup(fd), "rb") as file:
        whole = _whole_members(file)
        file.seek(whole)
        tail = memoryview(file.read())
    if any(_begins_with_record(tail[found.start() :]) for found in _MEMBER.finditer(tail)):
        return False
    if tail:
        os.ftruncate(fd, whole)
    return True


def _begins_with_record(data: memoryview) -> bool:
    """Whether a whole record stands at its start. A gzipped page, which a torn record may hold, is none."""
    try:
        kind = zlib.decompressobj(_GZIP).decompress(data[:512], 5)
    except zlib.error:
        return False
    return kind == b"WARC/" and _whole_members(io.BytesIO(data)) > 0


def _whole_members(file: BinaryIO) -> int:
    """The length of the gzip members that stand whole at the file's start."""
    whole = position = 0
    member = zlib.decompressobj(_GZIP)
    while chunk := file.read(64 << 10):
        position += len(chunk)
        while chunk:
            try:
                member.decompress(chunk)
            except zlib.error:
                return whole
            if not member.eof:
                break
            chunk = member.unused_data
            whole = position - len(chunk)
            member = zlib.decompressobj(_GZIP)
    return whole


def _write(fd: int, block: bytes) -> None:
    if failpoints.armed("inside_archive_write"):
        os.write(fd, block[: len(block) // 4])  # inside the first record
        os.kill(os.getpid(), signal.SIGKILL)
    written = os.write(fd, block)
    if written != len(block):  # a full disk may take a part
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fdatasync(fd)


def _records(response: Response) -> tuple[bytes, bytes]:
    """The response and its request as two gzipped WARC records; the request names the response."""
    date = response.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = f"<urn:uuid:{uuid.uuid4()}>"
    about = {"WARC-Date": date, "WARC-Record-ID": name}
    coded = _is_plain_gzip(response)
    headers, body = _stored(response, coded=coded)
    if response.truncated:
        about["WARC-Truncated"] = "disconnect"
    target = response.url.split("#")[0].split("/", 3)[3:] or [""]
    request = f"GET /{target[0]} HTTP/1.1"
    version = "1.0" if response.version == "1.0" else "1.1"  # what else servers call it, readers would refuse
    status = f"HTTP/{version} {response.status} {response.reason}".rstrip()
    asked = {"WARC-Date": date, "WARC-Concurrent-To": name}
    return (
        _member(
            _record(response.url, "response", status, headers, body, about), packed=len(body) if coded else 0
        ),
        _member(_record(response.url, "request", request, response.request_headers, b"", asked)),
    )


def _stored(response: Response, *, coded: bool) -> tuple[Headers, bytes]:
    """Header and body that any reader can replay: the body as received, its chunks joined.

    Content codings stay where the common readers undo them whole; bodies in any other ("x-gzip", several gzip
    members, a bare deflate stream) are kept decoded. What was said of a body in another form is masked, as
    Common Crawl masks it (github.com/commoncrawl/news-crawl/issues/30).
    """
    body = response.raw_body if coded else response.body
    masked = _FRAMING if coded else _FRAMING | {"content-encoding"}
    headers = [(_MASK + name if name.lower() in masked else name, value) for name, value in response.headers]
    return (*headers, ("Content-Length", str(len(body)))), body


def _is_plain_gzip(response: Response) -> bool:
    """Whether the body as received is the one gzip member that its header says, and nothing more."""
    if [value.lower() for value in response.header_values("Content-Encoding")] != ["gzip"]:
        return False
    return response.one_member


def _record(  # noqa: PLR0917  the parts of a record, in its order
    url: str, kind: str, first_line: str, headers: Headers, body: bytes, about: dict[str, str]
) -> bytes:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    protocol, _, line = first_line.partition(" ")
    http = StatusAndHeaders(line, list(headers), protocol=protocol)
    # warcio would percent-encode what is not ASCII, after taking it for UTF-8: the bytes received are kept
    http.to_ascii_bytes = functools.partial(http.to_bytes, encoding="latin-1")
    buffer = io.BytesIO()
    writer = WARCWriter(buffer, gzip=False, warc_version="1.1")  # warcio compresses at level 9 only
    writer.write_record(
        writer.create_warc_record(
            url,
            kind,
            payload=io.BytesIO(body),
            length=len(body),
            http_headers=http,
            warc_headers_dict=about,
        )
    )
    return buffer.getvalue()


def _member(record: bytes, *, packed: int = 0) -> bytes:
    """The record as one gzip member. `packed` bytes before its end are compressed already and go in as they
    are: to compress a gzipped page again takes 0.8 ms and saves nothing.
    """
    if not packed:
        return gzip.compress(record, compresslevel=_GZIP_LEVEL, mtime=0)
    start = len(record) - packed - len(_RECORD_END)
    head, rest = (zlib.compressobj(level, wbits=-zlib.MAX_WBITS) for level in (_GZIP_LEVEL, 0))
    # What is flushed ends with a whole byte, and another stream may follow it there.
    deflated = head.compress(record[:start]) + head.flush(zlib.Z_SYNC_FLUSH)
    deflated += rest.compress(record[start:]) + rest.flush()
    return _MEMBER_HEAD + deflated + _MEMBER_END.pack(zlib.crc32(record), len(record))


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Transient(
            f"the archive in {folder} cannot be written: {error.strerror}",
            hint="free some space or set VEILLE_ARCHIVE to another folder, then run the command again",
        ) from error
