"""How things are shown: tables and colours for people, JSON for programs, progress on standard error.

Does not know what is shown.
"""

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from pipeline.errors import Permanent, Unparsable, VeilleError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

PARIS = ZoneInfo("Europe/Paris")
ASK_EVERY = 0.5  # seconds: a look at the store costs a millisecond


def console() -> "Console":
    """Standard output."""
    from rich.console import Console

    return Console()


def error_console() -> "Console":
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True)


def emit(value: object) -> None:
    """Write a value as one JSON document."""
    sys.stdout.buffer.write(
        orjson.dumps(plain(value), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    sys.stdout.flush()


def plain(value: object) -> Any:
    """Dataclasses as dictionaries; the rest as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def ndjson(work: Callable[[dict[str, Any]], object]) -> None:
    """Read one JSON object a line, write one JSON line each, in order; a line that fails gets an `error`."""
    for line in sys.stdin.buffer:
        if line.strip():
            write_line(attempt(work, line))


def attempt(work: Callable[[dict[str, Any]], object], line: bytes) -> object:
    """What `work` makes of the line's object, or an object with the field `error`."""
    try:
        record = orjson.loads(line)
        if not isinstance(record, dict):
            raise Unparsable("a JSON object a line is expected")
        return work(record)
    except VeilleError as error:
        return {"error": str(error), "code": error.code}
    except orjson.JSONDecodeError as error:
        return {"error": f"not JSON: {error}", "code": "unparsable"}
    except KeyError as error:
        return {"error": f"the field {error} is missing", "code": "unparsable"}
    except (TypeError, ValueError) as error:
        return {"error": f"a field has the wrong form: {error}", "code": "unparsable"}


def write_line(value: object) -> None:
    """Write a value as one line of JSON."""
    sys.stdout.buffer.write(orjson.dumps(plain(value), default=str, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def table(title: str, *columns: str, right: Iterable[str] = ()) -> "Table":
    """An empty table; the columns named in `right` hold figures."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def when(moment: datetime | None) -> str:
    """A time as people in France read it."""
    return moment.astimezone(PARIS).strftime("%d/%m/%Y %H:%M") if moment else ""


@contextlib.contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, if that is a terminal; the value is called with each advance."""
    with _bar(counts=total is not None) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)


@contextlib.contextmanager
def countdown(label: str, left: Callable[[], int]) -> Iterator[None]:
    """A progress bar for work that others may share: it asks how much is left, twice a second."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    with _bar(counts=True) as bar:
        task = bar.add_task(label, total=None)

        def look() -> None:
            most = 0
            while not over.wait(ASK_EVERY):
                with contextlib.suppress(VeilleError):  # the work itself meets it too, and says so
                    now = left()
                    most = max(most, now)
                    bar.update(task, total=most, completed=most - now)

        watcher = threading.Thread(target=look, name="progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _bar(*, counts: bool) -> "Progress":
    """What `progress` and `countdown` draw; nothing where standard error is no terminal."""
    from rich import progress as columns

    counted = (columns.BarColumn(), columns.MofNCompleteColumn()) if counts else ()
    return columns.Progress(
        columns.SpinnerColumn(),
        columns.TextColumn("{task.description}"),
        *counted,
        columns.TimeElapsedColumn(),
        console=error_console(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def read_bytes(path: str) -> bytes:
    """A file's bytes. Raises Permanent, which names what is wrong with it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  what the user typed, not made absolute
            return file.read()
    except OSError as error:
        raise Permanent(f"{path} cannot be read: {error.strerror}") from error
