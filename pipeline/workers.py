"""CPU work in processes that can be killed: reading pages and feeds without trusting them.

Does not fetch, store or decide anything. A child is `python -m pipeline.workers`; it reads tasks from its
standard input and writes answers to its standard output. A message is a frame: two lengths of 4 bytes,
big-endian, then so many bytes of JSON and of raw data. Nothing is unpickled, in either direction.
"""

import contextlib
import logging
import os
import queue
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

import orjson

from pipeline import errors, offspring
from pipeline.errors import Defect, Transient, Unparsable, VeilleError, lines_of, place_of
from pipeline.model import Article, Claims, Feed

WALL = 10.0  # seconds for one page; the slowest of 553 real ones needs 0.5
# Bytes of address space. A warm child has 300 MB of it, 200 of them resident; with this limit it holds at
# most 512 MB, and no real page needs more than 350.
MEMORY = 600_000_000
RESIDENT = 260_000_000  # bytes of memory that a child takes after 70 real pages; 210 million when it is warm
START = 120.0  # seconds to load libraries and models: 3 CPU-s, on a machine that may be busy
OUT_OF_MEMORY = 77  # exit code of a child; freed memory is in pieces, so it does not go on

log = logging.getLogger(__name__)

Result = Article | Feed | None
_LENGTHS = struct.Struct(">II")
_RESULTS: dict[str, type[Article | Feed] | None] = {"extract": Article, "parse_feed": Feed, "warm": None}
_WARMING = {"extract": "warm", "parse_feed": "warm_feeds", "warm": "warm"}
_SUBJECTS = {"extract": "the page", "parse_feed": "the feed"}
_ERRORS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, VeilleError)
}
# What a child may know of this process: it reads what strangers wrote, so no URLs, passwords and keys.
_ENVIRONMENT = (
    "HOME",
    "LANG",
    "LC_",
    "LD_",
    "DYLD_",
    "PATH",
    "PYTHON",
    "SYSTEMROOT",
    "TMP",
    "TZ",
    "VIRTUAL_ENV",
)


class Workers:
    """Up to `count` children, started when first needed and kept; at most one for each core.

    Safe to use from several threads, and from daemonic processes. The children die with the process that uses
    them, however it dies.
    """

    def __init__(self, count: int, *, wall: float = WALL, memory: int = MEMORY) -> None:
        self.count = max(1, min(count, _cores()))
        self._wall, self._memory = wall, memory
        # Idle children, or None for one not yet started; the last one used first, so that few are started.
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(self.count):
            self._idle.put(None)
        # Linux kills a child when the thread that started it ends (see `offspring`): this one stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="workers")
        self._children: set[_Child] = set()  # touched by the starter's thread, and by `close` after its end
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all children, at once; whoever waits for one gets Transient."""
        self._closed = True
        self._starter.shutdown()  # first, so that no child is started after the last was ended
        for child in self._children:
            child.kill()

    def run(self, task: str, payload: Mapping[str, Any] | None = None) -> Result:
        """What the task makes of the payload; waits for an idle child.

        - "extract": the arguments of `articles.extract` -> Article
        - "parse_feed": the arguments of `feeds.parse` -> Feed
        - "warm": nothing -> None, when the models are loaded

        Raises what the function raises (Defect for what is a bug), and Unparsable where two children, one
        after the other, took more than the limit of time or memory or died over it. Raises Transient where no
        child can be had.
        """
        request = _request(task, payload or {})
        child = self._idle.get()
        try:
            child = self._usable(child)
            try:
                answer = child.work(task, request, self._wall)
            except _Lost as error:  # over a busy machine, perhaps, or what other pages had left in its memory
                log.info("a reading process was lost, another one tries", extra={"error": str(error)})
                child = self._usable(child)
                answer = child.work(task, request, self._wall)
        except Exception as error:
            if self._closed:  # the page is not to blame
                raise Transient("the reading processes were ended") from error
            raise
        finally:
            self._idle.put(child)
        kind = _RESULTS[task]
        return None if kind is None else _adapter(kind)(answer)  # type: ignore[arg-type]  # a class is hashable

    def _usable(self, child: "_Child | None") -> "_Child":
        """The child, or another in its place."""
        if child is not None and child.usable:
            return child
        return self._starter.submit(self._start, child).result()

    def _start(self, replaced: "_Child | None") -> "_Child":
        if replaced:
            self._children.discard(replaced)
        started = _Child(self._memory)
        self._children.add(started)
        return started


class _Lost(Unparsable):
    """The process ended over its task, or was ended."""


class _Child:
    """One process and the pipes to it. Used by one thread at a time."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._warm: set[str] = set()
        self._using = threading.RLock()  # the pipes; they are closed when nobody does
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.workers", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout
        for pipe in (self._requests, self._answers):
            os.set_blocking(pipe.fileno(), False)

    @property
    def usable(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        with self._using:
            self._requests.close()
            self._answers.close()

    def work(self, task: str, request: bytes, wall: float) -> bytes:
        """The answer to one request, within `wall` seconds, the loading of libraries not counted."""
        self._warm_up(_WARMING[task])
        return b"" if task == "warm" else self.ask(task, request, wall)

    def _warm_up(self, task: str) -> None:
        if task not in self._warm:
            try:
                self.ask(task, _request(task, {}), START)
            except Unparsable as error:
                raise Transient(
                    f"the reading process did not start: {error}", hint="veille doctor"
                ) from error
            self._warm.add(task)

    def ask(self, task: str, request: bytes, wall: float) -> bytes:
        """The answer to one request, within `wall` seconds. Ends the process on any failure to get it."""
        ends = time.monotonic() + wall
        with self._using:
            try:
                with contextlib.suppress(BrokenPipeError):  # it died before reading all: no answer will come
                    self._send(request, ends)
                head, raw = _LENGTHS.unpack(self._receive(_LENGTHS.size, ends))
                answer = self._receive(head + raw, ends)
            except TimeoutError:
                self.kill()
                raise _Lost(f"{_subject(task)} took more than {wall:g} s to read") from None
            except EOFError:
                raise self._death(task) from None
            except BaseException:
                self.kill()
                raise
        _raise_error(orjson.loads(answer[:head]))
        return answer[head:]

    def _send(self, request: bytes, ends: float) -> None:
        left = memoryview(request)
        while left:
            _await(self._requests, select.POLLOUT, ends)
            left = left[self._requests.write(left) or 0 :]

    def _receive(self, size: int, ends: float) -> bytes:
        """So many bytes. Raises EOFError where the process has gone."""
        found = bytearray()
        while len(found) < size:
            _await(self._answers, select.POLLIN, ends)
            part = self._answers.read(size - len(found))
            if part == b"":
                raise EOFError
            found += part or b""
        return bytes(found)

    def _death(self, task: str) -> _Lost:
        self.kill()
        subject, code = _subject(task), self._process.returncode
        if code == OUT_OF_MEMORY:
            return _Lost(f"{subject} needs more than {self._memory // 1_000_000} MB to read")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _Lost(f"{subject} ended the process that read it ({how})")


def _await(pipe: IO[bytes], event: int, ends: float) -> None:
    """Wait until the pipe is ready. Raises TimeoutError at the end of the time: a clock of each request's
    own, in a thread, takes more CPU, the more threads wait for their turn.
    """
    ready = select.poll()
    ready.register(pipe, event)
    left = ends - time.monotonic()
    if left <= 0 or not ready.poll(left * 1000):
        raise TimeoutError


def _subject(task: str) -> str:
    return _SUBJECTS.get(task, "the start")


def _cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    root = str(Path(__file__).parent.parent)
    paths = [root, *filter(None, [kept.get("PYTHONPATH")])]
    # One arena and no thread pools: they reserve address space by the core.
    single = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return kept | single | {"PYTHONPATH": os.pathsep.join(paths)}


@cache
def _adapter(kind: type[Any]) -> Callable[[bytes], Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json


# ---- messages ---------------------------------------------------------------------------------------


def _request(task: str, payload: Mapping[str, Any]) -> bytes:
    """The frame of a task; the bytes of the payload go as they are, under the name in `raw`."""
    name = next((key for key, value in payload.items() if isinstance(value, bytes)), "")
    arguments = {key: value for key, value in payload.items() if key != name}
    try:
        head = orjson.dumps({"task": task, "raw": name, "arguments": arguments})
    except orjson.JSONEncodeError as error:
        raise Unparsable(f"{_SUBJECTS.get(task, task)} cannot be handed over: {error}") from error
    return _frame(head, payload[name] if name else b"")


def _frame(head: bytes, raw: bytes) -> bytes:
    return _LENGTHS.pack(len(head), len(raw)) + head + raw


def _read(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    """One frame. Raises EOFError where the other side has gone."""
    lengths = pipe.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        raise EOFError
    head, raw = _LENGTHS.unpack(lengths)
    body = pipe.read(head + raw)
    if len(body) < head + raw:
        raise EOFError
    return body[:head], body[head:]


def _raise_error(head: dict[str, str]) -> None:
    """Raises the error that an answer reports, if it reports one."""
    if not head:
        return
    if head["code"] == Defect.code:
        log.error("a bug in the reading process", extra={"error": head["message"], "lines": head["hint"]})
        raise Defect(head["message"])
    raise _ERRORS[head["code"]](head["message"], hint=head["hint"])


# ---- the child --------------------------------------------------------------------------------------


def _main(memory: int) -> None:
    offspring.die_with_parent(os.getppid())
    _limit(memory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    logging.disable(logging.CRITICAL)
    requests, answers = _pipes()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent is done
        while True:
            answers.write(_answer(*_read(requests)))
            answers.flush()


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and refuses it
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the parent, out of reach of libraries that print: descriptors 0 and 1 lead to nothing."""
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return pipes


def _answer(head: bytes, raw: bytes) -> bytes:
    request = orjson.loads(head)
    arguments = request["arguments"] | ({request["raw"]: raw} if request["raw"] else {})
    try:
        return _frame(b"{}", orjson.dumps(_TASKS[request["task"]](**arguments)))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except VeilleError as error:
        said = {"code": error.code, "message": str(error), "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - a bug: it is raised where somebody sees it
        said = {"code": Defect.code, "message": place_of(error), "hint": lines_of(error)}
    return _frame(orjson.dumps(said), b"")


def _extract(*, fetched_at: str, claims: dict[str, Any] | None = None, **arguments: Any) -> Article:
    from pipeline.reading import articles

    told = _adapter(Claims)(orjson.dumps(claims or {}))
    return articles.extract(fetched_at=datetime.fromisoformat(fetched_at), claims=told, **arguments)


def _parse_feed(**arguments: Any) -> Feed:
    from pipeline.reading import feeds

    return feeds.parse(**arguments)


def _warm() -> None:
    """One page through everything: loads the libraries, the language models and htmldate's months."""
    from pipeline.reading import language

    language.preload()
    with contextlib.suppress(Unparsable):
        _extract(fetched_at="2026-01-01T00:00:00Z", html=_SAMPLE, url="http://veille.invalid/")


def _warm_feeds() -> None:
    """One feed through both readers: it is not well-formed."""
    _parse_feed(body=b"<rss><channel><item><title>a &nbsp; b</title></item>", url="http://veille.invalid/")


_SAMPLE = b"<html><body><article><h1>Titre</h1>" + b"<p>Un paragraphe de mars 2025.</p>" * 20
_TASKS: dict[str, Callable[..., Result]] = {
    "extract": _extract,
    "parse_feed": _parse_feed,
    "warm": _warm,
    "warm_feeds": _warm_feeds,
}

if __name__ == "__main__":
    _main(int(sys.argv[1]))
