"""Veille killed with SIGKILL at any moment, then started again: nothing lost, nothing doubled."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import databases
import pytest
import state
from line import run_line
from moments import AMONG_TROUBLE, COMMANDS, FROM_NOTHING, FROM_TEXTS, READING, around
from offspring import PROGRAM
from sites import PAGE, Site
from stumbling import STUMBLING_BLOCK

from pipeline import steps
from pipeline.archive import Pointer
from pipeline.model import Stage
from pipeline.runtime import Runtime
from pipeline.settings import from_environment
from pipeline.stages import index
from pipeline.store import Store, entries

RANDOM_KILLS = int(os.environ.get("VEILLE_CRASHES", "20"))  # at moments drawn by chance
KILLS_EACH = 2  # the second one while what the first left is being mended
SEED = int(os.environ.get("VEILLE_SEED", "1"))
UNDER_WAY = [stage for stage in Stage if stage is not Stage.DONE]
HERE = Path(__file__).parent
LINE = (str(HERE / "line.py"),)
STUMBLING = (str(HERE / "stumbling.py"),)
COMMAND = ("-m", "pipeline.cli")

pytestmark = [pytest.mark.slow, pytest.mark.crash]


@dataclass(frozen=True)
class Library:
    """What a process works on that may be killed: a database, a home, and the press that it reads."""

    server: object
    press: object  # has `config` and `hosts`
    database: str
    home: Path
    program: tuple[str, ...] = LINE

    def copy(self, home):
        """The same for a test of its own."""
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        return replace(self, database=databases.clone(self.server, self.database), home=home)

    def drop(self):
        databases.drop(self.server, self.database)

    def environment(self, failpoint=""):
        return os.environ | {
            "VEILLE_HOME": str(self.home),
            "VEILLE_CONFIG": str(self.press.config),
            "VEILLE_DATABASE_URL": self.server.url(self.database),
            "VEILLE_ALLOW_HOSTS": ",".join(self.press.hosts),
            "VEILLE_HOST_GAP_SECONDS": "0",
            "VEILLE_LEASE_SECONDS": "1",
            "VEILLE_FAILPOINT": failpoint,
            "VEILLE_LOG": "text",
        }

    def start(self, *arguments, failpoint=""):
        return subprocess.Popen(
            [*PROGRAM, *self.program, *arguments],
            env=self.environment(failpoint),
            cwd=self.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *arguments, failpoint=""):
        """Run the program to its end; return its exit code."""
        return self.start(*arguments, failpoint=failpoint).wait(180)

    def run_and_kill(self, after):
        """Run the program and kill it after so many seconds."""
        process = self.start()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()

    def observed(self):
        """The state; on the way every promise about it is checked."""
        with Runtime(from_environment(self.environment())) as runtime:
            with runtime.store.transaction("look") as tx:
                pointers = tx.execute(
                    "select archive_file as f, archive_offset as o, archive_length as l from page"
                    " where archive_file is not null union all"
                    " select archive_file, archive_offset, archive_length from poll"
                    " where archive_file is not null"
                ).fetchall()
            assert pointers
            for row in pointers:
                headers, _ = runtime.archive.read(Pointer(row["f"], row["o"], row["l"]))
                assert headers
                due = entries.pending(tx, UNDER_WAY, now=runtime.now())
            assert not any(index.differences(runtime).values())
            return state.of(runtime) | {"due": due.free + due.held}


def killed_and_started_again(library, point, home):
    """The state of a copy whose process died there and was started again."""
    own = library.copy(home)
    assert own.run(failpoint=point) == -signal.SIGKILL, "the point was reached"
    assert own.run() == 0
    found = own.observed()
    own.drop()
    return found


@pytest.fixture(scope="session")
def nothing(press, server, template, tmp_path_factory):
    """A library with a schema and nothing in it."""
    press.publish_edition(1)
    return Library(server, press, template, tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="session")
def whole(nothing, tmp_path_factory):
    """The library that a line leaves that nobody disturbed, its state, and the seconds that it takes."""
    library = nothing.copy(tmp_path_factory.mktemp("whole"))
    started = time.monotonic()
    assert library.run() == 0
    seconds = time.monotonic() - started
    return SimpleNamespace(library=library, state=library.observed(), seconds=seconds)


@pytest.fixture(scope="session")
def texts(nothing, tmp_path_factory):
    """A library whose pages are read, and not yet compared."""
    library = nothing.copy(tmp_path_factory.mktemp("texts"))
    assert library.run("index", "discover", "fetch", "extract") == 0
    return library


@pytest.fixture(scope="module")
def trouble(server, template, tmp_path_factory):
    """Sites that refuse, lead elsewhere or ask to be left alone, and what an undisturbed line makes of it."""
    folder = tmp_path_factory.mktemp("trouble")
    with Site() as site, Site(name="other.localhost") as other, Site(name="busy.localhost") as busy:
        site.answers = {
            "/rss": said("200 OK", rss(site.url("/moved"), site.url(STUMBLING_BLOCK), busy.url("/busy"))),
            "/no-rss": said("404 Not Found"),
            "/moved": said("302 Found", b"", f"Location: {other.url('/there')}"),
            STUMBLING_BLOCK: said("403 Forbidden", PAGE),
        }
        other.answers = {"/there": said("403 Forbidden", PAGE)}
        busy.answers = {"/busy": said("503 Service Unavailable", PAGE, "Retry-After: 3600")}
        write_config(folder / "config", site.url("/rss"), site.url("/no-rss"))
        hosts = [place.host for place in (site, other, busy)]
        press = SimpleNamespace(config=folder / "config", hosts=hosts)
        (folder / "empty").mkdir()
        library = Library(server, press, template, folder / "empty", STUMBLING)
        undisturbed = library.copy(folder / "undisturbed")
        assert undisturbed.run() == 0
        yield SimpleNamespace(library=library, state=undisturbed.observed())


def said(status, body=b"", *headers):
    return lambda talk: talk.answer(status, body, *headers)


def rss(*links):
    """A feed in French with these links."""
    items = "".join(
        f"<item><title>Le port de {number} a rouvert</title><link>{link}</link><description>Les travaux du "
        f"quai {number} sont finis, et les pêcheurs de la ville sont revenus ce matin.</description></item>"
        for number, link in enumerate(links)
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Le Fanal</title>'
    return f"{head}{items}</channel></rss>".encode()


def write_config(folder, *feeds):
    """One publisher with these feeds, and the newsroom's topics."""
    publisher = {"id": "fanal", "name": "Le Fanal", "country": "FR", "domains": ["press.localhost"]}
    publisher["feeds"] = [{"url": url} for url in feeds]
    shutil.copytree(HERE.parent / "config" / "topics", folder / "topics")
    (folder / "sources.yaml").write_text(json.dumps({"publishers": [publisher]}))


@pytest.mark.parametrize("point", FROM_NOTHING)
def test_killed_on_the_way_to_the_texts(point, nothing, whole, tmp_path):
    """Killed there and started again, the line ends where an undisturbed one does."""
    library = nothing
    if point == "inside_migration":
        nothing.server.create_database("migrating")
        library = replace(nothing, database="migrating")

    assert killed_and_started_again(library, point, tmp_path) == whole.state


@pytest.mark.parametrize("point", FROM_TEXTS)
def test_killed_on_the_way_from_the_texts(point, texts, whole, tmp_path):
    """Killed there and started again, the line ends where an undisturbed one does."""
    assert killed_and_started_again(texts, point, tmp_path) == whole.state


@pytest.mark.parametrize("point", AMONG_TROUBLE)
def test_killed_among_trouble(point, trouble, tmp_path):
    """Waiting, leading elsewhere and setting aside survive as well."""
    assert killed_and_started_again(trouble.library, point, tmp_path) == trouble.state


def test_the_trouble_is_real(trouble):
    """The undisturbed line has what waits, what was set aside, and what was led elsewhere."""
    stages = {stage for stage, _ in trouble.state["entries"].values()}

    assert stages == {"fetch", "deduplicate", "done"}
    assert trouble.state["due"] == 0


@pytest.mark.parametrize(("arguments", "name"), COMMANDS.items(), ids=COMMANDS.values())
def test_a_command_killed_at_its_commit_is_given_again(arguments, name, whole, tmp_path):
    """Killed before or after it, and given again, it has done what it does in one go."""
    library = replace(whole.library, program=COMMAND)
    found = []
    for point in ("", *around(name)):
        own = library.copy(tmp_path / (point or "undisturbed"))
        (own.home / "feed.xml").write_bytes(rss("http://gazette.localhost/1", "http://gazette.localhost/2"))
        article = {
            "url": "http://gazette.localhost/3",
            "title": "Le port",
            "text": "Le port a rouvert. " * 40,
        }
        (own.home / "documents.ndjson").write_text(json.dumps(article))
        assert not point or own.run(*arguments, failpoint=point) == -signal.SIGKILL
        again = own.run(*arguments)
        assert again == (1 if point == "after_commit_retry" else 0), "nothing is left to be retried"
        found.append(own.observed())
        own.drop()

    assert found == [found[0]] * 3
    assert (found[0] == whole.state) == name.startswith("offer")


@pytest.mark.parametrize("number", range(RANDOM_KILLS // KILLS_EACH))
def test_killed_at_a_random_moment(number, nothing, whole, tmp_path):
    """Killed at moments drawn by chance, the line still ends where it must."""
    chance = random.Random(f"{SEED}-{number}")
    own = nothing.copy(tmp_path)
    for _ in range(KILLS_EACH):
        own.run_and_kill(chance.uniform(0.3, whole.seconds))
    assert own.run() == 0

    assert own.observed() == whole.state
    own.drop()


def test_the_plain_line_is_a_reference(whole):
    """The undisturbed line has read the whole newsroom."""
    assert len(whole.state["documents"]) > 20
    assert whole.state["outbox"] == 0
    assert {stage for stage, _ in whole.state["entries"].values()} == {"done"}


def test_what_only_reads_writes_nothing(runtime, first_edition, monkeypatch):
    """Transactions that are left out because they only ask have changed no row when they end."""
    transaction, wrote = Store.transaction, set()

    @contextlib.contextmanager
    def watched(store, name):
        with transaction(store, name) as tx:
            yield tx
            if tx.execute("select pg_current_xact_id_if_assigned() as id").fetchone()["id"]:
                wrote.add(name)

    monkeypatch.setattr(Store, "transaction", watched)
    for _ in range(2):
        steps.report(runtime, run_line(runtime))

    assert len(wrote) > 10
    assert not wrote & READING.keys()
