"""What Veille stands on, checked line by line: for `veille doctor`.

Makes no library where there is none and changes nothing, except that an embedded schema comes up to date as
with every command, and a server's if that is asked for. In reading order: `check` (a line), `machine` with
`memory`, `ports`, `library`, `configuration`.
"""

from collections.abc import Callable
from functools import partial

from pipeline.checkup import configuration, library, machine, ports
from pipeline.checkup.check import Check
from pipeline.errors import VeilleError
from pipeline.runtime import Runtime

__all__ = ["Check", "all_checks"]


def all_checks(runtime: Runtime, *, migrate: bool = False) -> list[Check]:
    """Look at everything; a check that cannot be made is a failed one, not an error."""
    database, stored = _database(runtime, migrate=migrate)
    looks: dict[str, Callable[[], Check]] = {
        "Python": machine.python,
        "memory": partial(machine.memory, runtime),
        "disk": partial(machine.disk, runtime),
        "ports": partial(ports.look, runtime),
        "locale": machine.locale,
        "database": lambda: database,
        "index": partial(library.index, runtime),
        "archive": partial(library.archive, runtime, stored),
        "configuration": partial(configuration.look, runtime, stored),
        "clock": partial(library.clock, runtime, stored),
        "feeds": partial(library.feeds, runtime),
    }
    if stored is None:
        failed = database.state == "failed"
        said = "not looked at without the database" if failed else "nothing to look at yet"
        for what in ("index", "feeds"):
            looks[what] = partial(Check, what, "warning" if failed else "ok", said)
    return [_made(what, look) for what, look in looks.items()]


def _database(runtime: Runtime, *, migrate: bool) -> tuple[Check, library.Stored | None]:
    """Its line, and what it says for the others: nothing if there is no library or it cannot be asked."""
    stored: library.Stored | None = None

    def look() -> Check:
        nonlocal stored
        stored = library.look(runtime, migrate=migrate)
        return library.database(runtime, stored)

    return _made("database", look), stored


def _made(what: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except VeilleError as error:
        return Check(what, "failed", str(error), error.hint)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return Check(what, "failed", f"{place}{error.strerror}", f"ls -ld {error.filename}" if place else "")
