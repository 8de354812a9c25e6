"""The user's side: enter, wait until the server is up, leave.

Starts a supervisor where there is none, and never a server.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pipeline.errors import Permanent, TimedOut, Transient
from pipeline.store.embedded import reports
from pipeline.store.embedded.cluster import ROLE
from pipeline.store.embedded.files import append, check_private
from pipeline.store.embedded.locks import SHARED, is_locked, lock, locked
from pipeline.store.embedded.place import PORT, Place, account, read, record, settle
from pipeline.store.embedded.server import Server
from pipeline.store.embedded.trouble import explained

START_SECONDS = 120.0  # recovery after a crash may take long; a start takes 0.4 s, the first one 2 s
PACKAGES = str(Path(__file__).resolve().parents[3])  # where `pipeline` is

_held: set[int] = set()


def _forget() -> None:
    """A forked child is no user: with the inherited descriptor it would keep the server up on its own."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


class Embedded:
    """The embedded server of `folder`, up from `__enter__` to the `__exit__` or death of its last user.

    Every process that needs the database enters for itself; a forked child has to as well. May be entered
    several times. While somebody is inside, a server that dies is started again.
    """

    user = ROLE
    port = PORT

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: Place | None = None
        self._locks: list[int] = []

    @property
    def place(self) -> Place:
        """Where the files lie. Raises as `settle` does."""
        if self._place is None:
            self._place = settle(self._folder)
        return self._place

    @property
    def is_made(self) -> bool:
        """Whether its data have been made. Makes nothing. Raises ConfigError for a place that is gone."""
        home = self._folder.expanduser().resolve()
        with explained(f"the database folder {home}"):
            return record(home).exists() and read(home).data.exists()

    @property
    def host(self) -> str:
        """The folder of the socket, which drivers take as host."""
        return str(self.place.socket)

    def url(self, database: str) -> str:
        """A URI for libpq, asyncpg and, with `+driver` put after `postgresql`, SQLAlchemy."""
        return f"postgresql:///{quote(database, safe='')}?host={self.host}&user={ROLE}&port={PORT}"

    def __enter__(self) -> Self:
        """Wait until the server accepts a connection, at most START_SECONDS.

        Raises TimedOut after that; ConfigError for a folder or data that cannot be used (not ours, another
        major version, read-only); Transient for a full disk or memory; Permanent for damaged data.
        """
        deadline = time.monotonic() + START_SECONDS
        self._place = place = settle(self._folder)
        with explained(f"the database in {place.root}"):
            descriptor = lock(place.lock("users"), SHARED, deadline)
            _held.add(descriptor)
            self._locks.append(descriptor)
            try:
                os.utime(descriptor)  # so that the supervisor notices a visit between two of its looks
                self._wait(place, deadline)
            except BaseException:
                self._leave()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        descriptor = self._locks.pop()
        if descriptor in _held:  # else this is a forked child, and the number may be another file by now
            _held.remove(descriptor)
            os.close(descriptor)

    def _wait(self, place: Place, deadline: float) -> None:
        report: int | None = None  # the pipe from a supervisor that we started, until it has settled
        try:
            while True:
                if report is None and not is_locked(place.lock("supervisor")):
                    report = _start_supervisor(place)
                refusal = self._refusal(place)
                if not refusal:
                    return
                if time.monotonic() > deadline:
                    raise TimedOut(
                        f"PostgreSQL in {place.root} accepts no connection: {refusal}",
                        hint=f"try again; its messages are in {place.log}",
                    )
                if report is None:
                    time.sleep(0.05)
                elif select.select([report], [], [], 0.05)[0]:
                    reports.receive(report)
                    os.close(report)
                    report = None
        finally:
            if report is not None:
                os.close(report)

    def _refusal(self, place: Place) -> str:
        """Why the server does not accept a connection; empty if it does."""
        try:
            check_private(place.socket, account())
        except FileNotFoundError:
            return "it does not run"
        if not (place.socket / f".s.PGSQL.{PORT}").exists():
            return "it does not run"
        import psycopg

        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return "" if "too many clients" in str(error) else str(error)  # full is up
        return ""

    def create_database(self, name: str) -> None:
        """Make an empty UTF-8 database (sorts by code point, case by Unicode), unless it exists."""
        import psycopg
        from psycopg import sql

        command = sql.SQL(
            "create database {} template template0 encoding 'UTF8'"
            " locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
        ).format(sql.Identifier(name))
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                if not connection.execute("select from pg_database where datname = %s", [name]).rowcount:
                    connection.execute(command)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # another process was faster
        except psycopg.OperationalError as error:
            hint = f"try again; the server's messages are in {self.place.log}"
            raise Transient(f"the database {name} could not be made: {error}", hint=hint) from error

    def remove(self) -> None:
        """Stop the server at once and delete the home with all its data; for homes of tests and demos.

        Raises Busy while a process is inside.
        """
        place, now = self.place, time.monotonic()
        with explained(f"the database in {place.root}"), locked(place.lock("users"), now + 1):
            while is_locked(place.lock("supervisor")) and time.monotonic() < now + START_SECONDS:
                place.stop_request.touch()  # a supervisor deletes it when it begins, hence again and again
                time.sleep(0.05)
            with locked(place.lock("supervisor"), now + START_SECONDS):
                Server(place).stop()
                shutil.rmtree(place.root)
                shutil.rmtree(place.home, ignore_errors=True)
        self._place = None


def _start_supervisor(place: Place) -> int:
    """Start a supervisor in a session of its own; returns the pipe on which it reports an error."""
    reader, writer = os.pipe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGES, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pipeline.store.embedded.supervisor", str(place.home)]
    try:
        with append(place.log) as log:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
                check=True,
            )
    except subprocess.CalledProcessError as error:
        os.close(reader)
        raise Permanent("the supervisor of PostgreSQL did not start", hint=f"see {place.log}") from error
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader
