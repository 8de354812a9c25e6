"""Faults: each is a function of a scene that breaks something in it, for as long as its context lasts.

Does not say what Veille answers: `test_sabotage` does.
"""

import contextlib
import os
import shutil
import socket

import pytest
from accounts import IS_ROOT, NOBODY, python_of
from scenes import ARTICLES, Disk, article, lines


def nothing(scene):
    """Only the command is wrong."""
    return contextlib.nullcontext()


def both(*faults):
    """Several at once."""

    @contextlib.contextmanager
    def fault(scene):
        with contextlib.ExitStack() as stack:
            for one in faults:
                stack.enter_context(one(scene))
            yield

    return fault


def wrote(name, text):
    """A file that says something else."""

    @contextlib.contextmanager
    def fault(scene):
        (scene.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        yield

    return fault


def replaced(name, old, new):
    """A file of the configuration that somebody edited."""

    def fault(scene):
        text = (scene.folder / name).read_text()
        assert text.count(old) == 1
        return wrote(name, text.replace(old, new))(scene)

    return fault


def gone(name):
    """A file or folder of the configuration that is not there."""

    @contextlib.contextmanager
    def fault(scene):
        _remove(scene.folder / name)
        yield

    return fault


def a_folder(name):
    """A folder where something else is expected."""

    @contextlib.contextmanager
    def fault(scene):
        _remove(scene.folder / name)
        (scene.folder / name).mkdir()
        yield

    return fault


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def on_a_server(*statements, undo=(), options=""):
    """A database of a server, in which somebody did something."""

    @contextlib.contextmanager
    def fault(scene):
        scene.on_a_server()
        for statement in statements:
            scene.execute(statement)
        url = scene.settings["VEILLE_DATABASE_URL"]
        scene.settings["VEILLE_DATABASE_URL"] = url + options
        yield
        scene.settings["VEILLE_DATABASE_URL"] = url
        for statement in undo:
            scene.execute(statement)

    return fault


@contextlib.contextmanager
def an_empty_database(scene):
    """A server's database in which nothing is yet."""
    import databases

    server = scene.request.getfixturevalue("server")
    name = databases.clone(server, "template0")
    scene.settings["VEILLE_DATABASE_URL"] = server.url(name)
    yield
    assert scene.execute("select from pg_tables where schemaname = 'public'").rowcount == 0
    databases.drop(server, name)


def failing(table, body):
    """A server on which every new row of a table meets with something, as long as the fault lasts."""
    function = (
        f"create function fail() returns trigger language plpgsql as $$ begin {body}; return new; end $$"
    )
    trigger = f"create trigger fail before insert on {table} for each row execute function fail()"
    return on_a_server(function, trigger, undo=["drop function fail() cascade"])


def unreadable(name):
    """A file or folder that an account without rights cannot read; the command is that account's."""

    @contextlib.contextmanager
    def fault(scene):
        _without_rights(scene)
        path = scene.folder / name
        mode = path.stat().st_mode
        path.chmod(0)
        yield
        path.chmod(mode)

    return fault


def _without_rights(scene):
    if not IS_ROOT:
        return
    if not python_of(NOBODY):
        pytest.skip("no Python that an account without rights can run")
    scene.account = NOBODY
    for path in (scene.folder, *scene.folder.rglob("*")):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


def full(name, size, spare=0):
    """A disk without space, until somebody makes some."""

    @contextlib.contextmanager
    def fault(scene):
        disk = Disk(scene, scene.folder / name, f"size={size}")
        disk.fill(spare)
        yield
        (disk.outside / "fill").unlink()

    return fault


def read_only(name):
    """A disk that was mounted read-only, until somebody mounts it again."""

    @contextlib.contextmanager
    def fault(scene):
        disk = Disk(scene, scene.folder / name, "size=200m")
        disk.remount("ro")
        yield
        disk.remount("rw")

    return fault


def without_network(scene):
    """Neither a way out nor loopback."""

    @contextlib.contextmanager
    def fault():
        if not IS_ROOT:
            pytest.skip("only root can take the network away")
        scene.before = ("unshare", "--net")
        yield
        scene.before = ()

    return fault()


@contextlib.contextmanager
def reading_the_press(scene):
    """The sample newsroom is there to be read; the archive lies beside the home."""
    scene.on_a_server()
    scene.read_the_press()
    scene.settings["VEILLE_ARCHIVE"] = str(scene.folder / "archive")
    yield


@contextlib.contextmanager
def stocked(scene):
    """A library on a server that holds the articles."""
    scene.on_a_server()
    code, _, said = scene.run(["documents", "import", "articles.ndjson"])
    assert code == 0, said
    yield


@contextlib.contextmanager
def locked_index(scene):
    """Another process of Veille writes the index, and does not end."""
    import psycopg

    from pipeline.store import INDEX, LOCK_SPACE

    scene.on_a_server()
    name, server = scene.database
    with psycopg.connect(server.url(name)) as connection:
        connection.execute("select pg_advisory_lock(%s, %s)", (LOCK_SPACE, INDEX))
        yield


@contextlib.contextmanager
def written_index(scene):
    """Some program writes into the index without asking for Veille's lock."""
    import tantivy

    with stocked(scene):
        more = scene.folder / "articles.ndjson"
        more.write_text(lines(*map(article, range(ARTICLES + 1))))
        [generation] = (scene.home / "index").glob("gen-*")
        writer = tantivy.Index.open(str(generation)).writer(15_000_000, 1)
        yield
        writer.rollback()
        writer.wait_merging_threads()


def index_file(name, text):
    """A file of the index that says something else."""

    @contextlib.contextmanager
    def fault(scene):
        with stocked(scene):
            [generation] = (scene.home / "index").glob("gen-*")
            (generation / name).write_text(text)
            yield

    return fault


@contextlib.contextmanager
def index_read_only(scene):
    """The index lies on a disk that is mounted read-only."""
    with stocked(scene):
        kept = scene.folder / "kept"
        shutil.move(scene.home / "index", kept)
        disk = Disk(scene, scene.home / "index", "size=50m")
        shutil.copytree(kept, disk.outside, dirs_exist_ok=True)
        disk.remount("ro")
        yield


@contextlib.contextmanager
def filled_up(scene):
    """A library in a home without space for more, until somebody makes some."""
    disk = Disk(scene, scene.home, "size=100m")
    code, _, said = scene.run(["documents", "import", "articles.ndjson"])
    assert code == 0, said
    (scene.folder / "articles.ndjson").write_text(lines(*map(article, range(200))))
    disk.fill()
    yield
    (disk.outside / "fill").unlink()


def taken_port(*names):
    """Another program listens on the port that is kept in these homes of a newsroom."""

    @contextlib.contextmanager
    def fault(scene):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            for name in names:
                _newsroom_of(scene.folder / name, port)
            scene.settings["PORT"] = str(port)
            yield

    return fault


def _newsroom_of(home, port):
    from datetime import UTC, datetime

    from pipeline.newsroom import states
    from pipeline.newsroom.clock import Clock

    home.mkdir(parents=True)
    now = datetime.now(UTC)
    states.write(home / "newsroom.json", states.State(now, port, "salt", Clock(now, now)))


@contextlib.contextmanager
def served(scene):
    """The newsroom is being served already."""
    from pipeline.newsroom.server import Newsroom

    with Newsroom(scene.home / "newsroom"):
        yield
