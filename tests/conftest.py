"""What every test may use: the corpus, the pinned floors of quality."""

import json
import os
import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
# How long an example takes says nothing on a busy machine; and what passes once has to pass again.
settings.register_profile("veille", deadline=None, derandomize=True)
settings.load_profile("veille")
# A shell starts what it puts into the background with SIGINT ignored, and processes inherit that: tests of
# Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
REQUIRED = frozenset(filter(None, os.environ.get("VEILLE_REQUIRE", "").split(",")))


def missing(what: str, reason: str) -> None:
    """Skip a test for lack of `what`, or fail it where VEILLE_REQUIRE names it."""
    if what in REQUIRED:
        pytest.fail(f"{reason} (VEILLE_REQUIRE={what})")
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def nowhere(tmp_path_factory):
    """A test that names no catalogue gets an error instead of asking the real press."""
    folder = tmp_path_factory.mktemp("nowhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEILLE_HOME", str(folder / "home"))
        patch.setenv("VEILLE_CONFIG", str(folder / "config"))
        yield


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real pages and feeds."""
    folder = Path(os.environ.get("VEILLE_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not folder.is_dir():
        missing("corpus", f"no corpus at {folder}: set VEILLE_CORPUS")
    return folder


@pytest.fixture(scope="session")
def floor():
    """The pinned floor of a quality figure, by name."""
    return json.loads((ROOT / "tests" / "quality_floor.json").read_text()).__getitem__


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One embedded PostgreSQL for the whole test run; nothing of it stays, in /var/lib neither."""
    from pipeline.store.embedded import Embedded
    from pipeline.store.embedded.supervisor import IDLE_VARIABLE

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(IDLE_VARIABLE, "3")  # tests that are interrupted take time enough to end
            embedded = stack.enter_context(Embedded(tmp_path_factory.mktemp("server") / "postgres"))
        yield embedded
    embedded.remove()


@pytest.fixture(scope="session")
def template(server):
    """A database with the schema, to be cloned: 60 ms instead of 2 s of migrations."""
    from pipeline.store import Store

    server.create_database("template_veille")
    store = Store(server.url("template_veille"), clock=lambda: datetime.now(UTC), lease_seconds=60)
    store.migrate()
    store.close()
    return "template_veille"


@pytest.fixture
def database_url(server, template):
    """The URL of a database of this test's own."""
    import databases

    name = databases.clone(server, template)
    yield server.url(name)
    databases.drop(server, name)


@pytest.fixture
def store(database_url):
    """An open store with the schema."""
    from pipeline.store import Store

    opened = Store(database_url, clock=lambda: datetime.now(UTC), lease_seconds=60)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def elasticsearch_server(tmp_path_factory):
    """A real Elasticsearch, one for the whole run and all its processes, or the one that is given."""
    from searchserver.parts import Lacking
    from searchserver.server import given
    from searchserver.sharing import shared

    if url := os.environ.get("VEILLE_TEST_ELASTICSEARCH_URL"):
        yield given(url)
        return
    with ExitStack() as stack:
        try:
            address = stack.enter_context(shared(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))))
        except Lacking as error:
            missing("elasticsearch", str(error))
        yield address


@pytest.fixture
def engine(elasticsearch_server):
    """A place of this test's own on the search server."""
    from engines import Elasticsearch

    made = Elasticsearch(elasticsearch_server)
    yield made
    made.remove()


@pytest.fixture
def open_on_server(engine, tmp_path, database_url):
    """Opens runtimes of one library with its index on the search server: `open_on_server(index_url=…)`."""
    import shelves

    from pipeline.runtime import Runtime

    with ExitStack() as stack:

        def opened(address=engine.address, **changes):
            its = {
                "index_url": address.url,
                "index_user": address.user,
                "index_password": address.password,
                "index_name": engine.name,
            }
            settings = shelves.settings(tmp_path / "home", database_url, **its | changes)
            return stack.enter_context(Runtime(settings))

        yield opened


@pytest.fixture
def on_server(open_on_server):
    """A library with an empty index on the search server."""
    from pipeline.stages import index

    runtime = open_on_server()
    index.set_up(runtime)
    return runtime


@pytest.fixture(scope="session")
def workers():
    """CPU workers for all tests: a cold one costs 4 CPU-s."""
    from pipeline.workers import Workers

    with Workers(2) as pool:
        yield pool


@pytest.fixture(scope="session")
def press(tmp_path_factory):
    """Three publishers of the sample newsroom, served for the whole run, with their configuration beside.

    Their clock is a day late, so that an edition can be turned without dating anything in the future.
    """
    import shutil

    from pipeline.newsroom.loading import load
    from pipeline.newsroom.server import Newsroom

    home = tmp_path_factory.mktemp("press")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with Newsroom(home, publishers=load()[:3], now=yesterday) as newsroom:
        newsroom.write_config(home / "config")
        shutil.copytree(ROOT / "config" / "topics", home / "config" / "topics")
        newsroom.config = home / "config"
        yield newsroom


@pytest.fixture
def first_edition(press):
    """The newsroom before its revision."""
    press.publish_edition(1)
    return press


@pytest.fixture
def open_runtime(press, workers, tmp_path, database_url):
    """Opens runtimes on this test's own database, archive and index: `open_runtime(lease_seconds=…)`."""
    from pipeline.runtime import Runtime
    from pipeline.settings import Settings

    with ExitStack() as stack:

        def opened(url=database_url, home=tmp_path / "home", **changes):
            hosts = frozenset((host.rpartition(":")[0], int(host.rpartition(":")[2])) for host in press.hosts)
            settings = Settings(
                **{
                    "home": home,
                    "config": press.config,
                    "archive": home / "archive",
                    "database_url": url,
                    "allow_hosts": hosts,
                    "host_gap_seconds": 0.0,
                    "lease_seconds": 60.0,
                }
                | changes
            )
            runtime = stack.enter_context(Runtime(settings))
            runtime.workers = workers
            return runtime

        yield opened


@pytest.fixture
def runtime(open_runtime):
    """One opened runtime."""
    return open_runtime()
