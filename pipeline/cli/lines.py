"""Many questions at once, for programs: one JSON object a line comes in, one line of JSON goes out.

Does not know what is asked.
"""

import logging
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

import orjson

from pipeline import ndjson
from pipeline.cli.console import plain
from pipeline.errors import Permanent, Unparsable, VeilleError, lines_of, place_of

Work = Callable[[dict[str, Any]], object]

HAND_OVER = "give the lines in a pipe, or in a file behind <"
AHEAD = 4  # lines read ahead for each that is worked on: enough to keep all busy, few to hold in memory

log = logging.getLogger(__name__)


def answer(work: Work, *, abreast: int = 1) -> None:
    """Answer every line of standard input with one line, in order; a line that fails gets an `error`.

    `abreast` lines are worked on at once. A line is answered as soon as it and those before it are done,
    whether or not another one follows: who asks may wait for the answer before it asks again.
    """
    asked: queue.Queue[Future[object] | None] = queue.Queue(AHEAD * abreast)
    pool = ThreadPoolExecutor(abreast)
    # A daemon: nothing ends a read of standard input, and the program shall not wait for it.
    threading.Thread(target=_read, args=(pool, work, stdin(), asked), name="lines", daemon=True).start()
    try:
        while future := asked.get():
            write(future.result())
    finally:
        pool.shutdown(cancel_futures=True)


def stdin() -> IO[bytes]:
    """Standard input. Raises Permanent if it is closed."""
    if sys.stdin is None:
        raise Permanent("standard input is closed", hint=HAND_OVER)
    # Not sys.stdin.buffer: Python cannot exit while a thread reads that.
    return open(sys.stdin.fileno(), "rb", closefd=False)


def unreadable(error: OSError) -> Permanent:
    """The error of a standard input that is a folder, say."""
    return Permanent(f"standard input cannot be read: {error.strerror}", hint=HAND_OVER)


def _read(
    pool: ThreadPoolExecutor, work: Work, lines: IO[bytes], asked: "queue.Queue[Future[object] | None]"
) -> None:
    try:
        for line in lines:
            asked.put(pool.submit(attempt, work, line))
    except RuntimeError:  # the pool was shut down: nobody waits for answers
        return
    except OSError as error:
        failed: Future[object] = Future()
        failed.set_exception(unreadable(error))
        asked.put(failed)
    asked.put(None)


def attempt(work: Work, line: bytes) -> object:
    """What `work` makes of the line's object, or an object with the fields `error` and `code`."""
    try:
        return work(ndjson.record(line))
    except VeilleError as error:
        return {"error": str(error), "code": error.code}
    except Exception as error:  # noqa: BLE001  whatever it is, one line must not stop the others
        reason = place_of(error)
        log.error("line set aside", extra={"error": reason, "lines": lines_of(error)})  # noqa: TRY400  no text in logs
        return {"error": reason, "code": "defect"}


def text(record: dict[str, Any], name: str, default: str | None = None) -> str:
    """The string in a field; `a.text` is the field `text` of the object `a`; null counts as missing.

    Raises Unparsable, which names the field, if it is missing and has no default, or is no string.
    """
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        value = default
    if value is None:
        raise Unparsable(f"the field {name!r} is missing; a string is expected")
    if not isinstance(value, str):
        raise Unparsable(f"the field {name!r} holds {type(value).__name__}; a string is expected")
    return value


def write(value: object) -> None:
    """Write a value as one line of JSON."""
    sys.stdout.buffer.write(orjson.dumps(plain(value), default=str, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
