"""How things are shown: tables and colours for people, JSON for programs, progress on standard error.

Does not know what is shown.
"""

import contextlib
import dataclasses
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from pipeline.errors import Permanent, TooLarge, VeilleError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

PARIS = ZoneInfo("Europe/Paris")
PARIS_TIMES = "times are those of Paris"  # said once where several are shown
ASK_EVERY = 0.5  # seconds: a look at the store costs a millisecond


def console() -> "Console":
    """Standard output."""
    from pipeline.cli.terminal import Terminal

    return Terminal()


def error_console() -> "Console":
    """Standard error."""
    from pipeline.cli.terminal import Terminal

    return Terminal(stderr=True)


def emit(value: object) -> None:
    """Write a value as one JSON document."""
    sys.stdout.buffer.write(
        orjson.dumps(plain(value), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    sys.stdout.flush()


def plain(value: object) -> Any:
    """Dataclasses as dictionaries; the rest as it is, but in UTF-8: a file's name may have other bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def table(title: str, *columns: str, right: Iterable[str] = ()) -> "Table":
    """An empty table; the columns named in `right` hold figures."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def hanging(mark: str, text: "str | Text") -> "Table":
    """A paragraph that hangs on its mark: wherever the line ends, it goes on under its own beginning."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid()
    made.add_column(no_wrap=True, min_width=len(mark))
    made.add_column(overflow="fold")
    made.add_row(Text(mark), Text(text) if isinstance(text, str) else text)
    return made


def about(address: str, said: str, *, style: str = "") -> None:
    """What is said of an address: that on a line of its own, unbroken, to be copied; the rest below it."""
    from rich.text import Text

    out = console()
    out.print(Text(address, style=style), soft_wrap=True)
    out.print(hanging("   ", Text(said, style="dim")))


def when(moment: datetime | None) -> str:
    """A time as people in France read it, in Paris."""
    return moment.astimezone(PARIS).strftime("%d/%m/%Y %H:%M") if moment else ""


@contextlib.contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, one line if that is no terminal; call the value with each advance."""
    if not sys.stderr.isatty():
        print(f"{label} …", file=sys.stderr, flush=True)  # noqa: T201  that is where progress goes
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


def read_bytes(path: str, cap: int | None = None) -> bytes:
    """A file's bytes, or a pipe's. Raises Permanent, which names what is wrong with it, and TooLarge beyond
    `cap` bytes: a device may have no end.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123  what the user typed, not made absolute
            return read_capped(file, path, cap)
    except (OSError, ValueError) as error:  # ValueError: U+0000 in a name
        said = getattr(error, "strerror", error)
        raise Permanent(f"{path} cannot be read: {said}", hint=_look(path)) from error


def _look(path: str) -> str:
    """The command that shows what is there instead: in the folder itself, else in the nearest one above."""
    found = Path(path.replace("\0", ""))
    folder = next(above for above in (found, *found.parents, Path()) if above.is_dir())
    return f"ls -l {shlex.quote(str(folder))}"


def read_capped(file: IO[bytes], name: str, cap: int | None) -> bytes:
    """All of `file`. Raises TooLarge beyond `cap` bytes."""
    found = file.read() if cap is None else file.read(cap + 1)
    if cap is not None and len(found) > cap:
        raise TooLarge(
            f"{name} cannot be read: it has more than {cap:,} bytes",
            hint="no page or feed that is read is so long",
        )
    return found
