"""`veille demo` as a newcomer meets it: real processes, really interrupted, as root and without rights."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from accounts import IS_ROOT, NOBODY, python_of, python_path
from conftest import ROOT
from waiting import eventually

from pipeline.errors import ConfigError
from pipeline.newsroom import gold
from pipeline.newsroom.loading import load
from pipeline.newsroom.server import Newsroom
from pipeline.reading.dates import paris_day
from pipeline.runtime import Runtime
from pipeline.settings import Settings
from pipeline.stages import index
from pipeline.store import articles
from pipeline.store.embedded import place
from pipeline.urls import canonical

pytestmark = [pytest.mark.slow, pytest.mark.airflow, pytest.mark.timeout(900)]

VEILLE = Path(sys.executable).with_name("veille")
OUTCOMES = {"new": 66, "revised": 2, "duplicate": 1, "not_french": 3, "failed": 3}
MARKED = "\x1b[1;7m"  # bold and reversed, on a terminal
QUIET_SECONDS = 15


class Demo:
    """A demonstration in a home of its own, and the account that plays it."""

    def __init__(self, home: Path, account: pwd.struct_passwd | None = None) -> None:
        self.home = home / "demo"
        self.account = account
        self.output, self.messages = home / "output", home / "messages"
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("VEILLE_", "AIRFLOW"))
        } | {
            "VEILLE_HOME": str(home),
            "HOME": str(home),
            "FORCE_COLOR": "1",
            "COLUMNS": "80",
        }

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start it in a session of its own, as from a terminal of its own."""
        command, environment = [str(VEILLE)], self.environment
        if self.account:
            command = [python_of(self.account), "-c", "from pipeline.cli import main; main()"]
            environment = environment | {"PYTHONPATH": python_path()}
        with self.output.open("wb") as output, self.messages.open("wb") as messages:
            return subprocess.Popen(
                [*command, "demo", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=messages,
                cwd=self.home.parent,
                user=self.account and self.account.pw_uid,
                group=self.account and self.account.pw_gid,
                extra_groups=[] if self.account else None,
                start_new_session=True,
            )

    def play(self, *arguments: str) -> str:
        """Play it to its end; what it said."""
        code = self.start(*arguments).wait()
        assert code == 0, self.messages.read_text()
        return self.output.read_text()

    def processes(self) -> list[psutil.Process]:
        """Every process that names the home, or works in it or in what lies apart from it."""
        places = [str(self.home)]
        with contextlib.suppress(ConfigError):
            places.append(str(place.read(self.home / "postgres").root))
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                said = "\n".join([*process.cmdline(), *process.environ().values(), process.cwd()])
                if any(name in said for name in places):
                    found.append(process)
        return found

    def end(self) -> None:
        """Kill what is left, and delete what lies apart from the home."""
        assert eventually(self._is_killed, QUIET_SECONDS)
        if (self.home / "postgres" / "place.json").exists():
            shutil.rmtree(place.read(self.home / "postgres").root)

    def _is_killed(self) -> bool:
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return not left


def words(process: psutil.Process) -> list[str]:
    """The process's command line; none if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A demonstration that was played once, and its report."""
    home = tmp_path_factory.mktemp("played")
    demo = Demo(home)
    try:
        demo.report = json.loads(demo.play("--json"))
        yield demo
    finally:
        demo.end()


@pytest.fixture
def library(played):
    """What the demonstration left, opened."""
    home = played.home
    with Runtime(Settings(home, home / "config", home / "archive")) as runtime:
        yield runtime


def test_every_entry_ends_in_one_outcome(played):
    """75 links stand in the newsroom's feeds; the table adds up, nothing waits, the index is the store."""
    assert played.report["outcomes"] == OUTCOMES
    assert played.report["discovered"] == sum(OUTCOMES.values()) == 75
    assert played.report["waiting"] == 0
    assert played.report["adds_up"]
    assert not any(played.report["index_differs"].values())


def test_the_newsroom_shows_what_it_was_made_for(played):
    """A link to loopback, pages that are gone or too large, one that robots.txt forbids, articles revised."""
    assert played.report["pages"] == {
        "address_refused": 1,
        "full": 68,
        "gone": 2,
        "robots": 1,
        "teaser": 1,
        "too_large": 2,
    }
    assert played.report["read_again"]["revised"] == 4, "two articles, twice each"
    assert played.report["read_again"].keys() == {"revised", "unchanged"}
    refused = sorted((row["page_fate"], row["url"].rpartition("/")[2]) for row in played.report["failures"])
    assert refused == [
        ("address_refused", "journal-de-8-heures"),
        ("gone", "art20977.htm"),
        ("gone", "marche-aux-puces-de-montrivel-reporte-104199.html"),
        ("robots", "inventaire-des-archives-un-fonds-oublie-104187.html"),
        ("too_large", "album-de-la-fete-des-quais"),
        ("too_large", "registre-complet-du-port"),
    ]
    assert all(row["reason"] for row in played.report["failures"])
    assert [row["broken"] for row in played.report["feed_trouble"]] == [
        "not well-formed XML (undefined entity)"
    ]


FOUND = """
    select entry.*, revision.title, authors, revision.published, revision.language, copied_share,
        array(select topic from tag where article_id = article.id) as topics,
        (select speaker.canonical_url
         from article original join entry speaker on speaker.id = original.entry_id
         where original.id = article.copy_of) as copy_of
    from entry
    left join revision on revision.entry_id = entry.id and number = entry.revision
    left join article on article.id = entry.article_id
"""


@pytest.fixture
def pairs(library, played):
    """The gold's fate of every entry of the newsroom, with what stands in the library."""
    fates = list(gold.fates(gold.load(), load(), Newsroom(played.home).printing))
    with library.store.transaction("look") as tx:
        rows = {row["canonical_url"]: row for row in tx.execute(FOUND)}
    assert rows.keys() == {canonical(fate.url) for fate in fates}
    return [(fate, rows[canonical(fate.url)]) for fate in fates]


def test_every_entry_meets_the_fate_that_the_gold_foretells(pairs):
    """Outcome, page and number of revisions, none left out and none besides."""
    found = {fate.url: (row["outcome"], row["page_fate"], row["revision"]) for fate, row in pairs}
    assert found == {fate.url: (fate.outcome, fate.page, fate.revisions) for fate, _ in pairs}


def squeezed(text):
    """Every kind of space is one space: where French needs an unbreakable one, pages and feeds differ."""
    return " ".join(text.split())


def test_every_article_is_read_as_the_gold_says(pairs):
    """Title, authors, day in Paris, language, whatever the publisher's templates hide them in."""
    read = [(fate, row) for fate, row in pairs if fate.outcome != "failed"]
    found = {
        fate.url: (
            squeezed(row["title"]),
            tuple(row["authors"]),
            paris_day(row["published"]),
            row["language"],
        )
        for fate, row in read
    }
    assert found == {
        fate.url: (squeezed(fate.title), fate.authors, fate.day, fate.language) for fate, _ in read
    }


def test_every_article_carries_the_topics_of_the_gold(pairs):
    """What it must carry, and nothing that it must not: false friends among them."""
    indexed = [(fate, set(row["topics"])) for fate, row in pairs if fate.outcome in ("new", "revised")]
    assert {fate.url: sorted(fate.topics - found) for fate, found in indexed if fate.topics - found} == {}
    assert {
        fate.url: sorted(found & fate.not_topics) for fate, found in indexed if found & fate.not_topics
    } == {}


def test_every_copy_is_a_copy_of_what_the_gold_says(pairs):
    """And nothing else is one; the shares agree within ten points: the gold gives about how much it is."""
    assert {fate.url: row["copy_of"] for fate, row in pairs if row["copy_of"]} == {
        fate.url: canonical(fate.copy_of) for fate, _ in pairs if fate.copy_of
    }
    for fate, row in pairs:
        if fate.copy_of:
            assert row["copied_share"] == pytest.approx(fate.share, abs=0.1), fate.name


def test_what_it_tells(library):
    """One dispatch of an agency in five papers; what is not French is not searched."""
    with library.store.transaction("look") as tx:
        groups = list(articles.groups(tx, 5))
    assert {row["publisher"] for row in groups} == {"agence-depeche-libre"}
    assert {row["copy_publisher"] for row in groups} == {p.id for p in load()} - {
        "agence-depeche-libre",
        "marmite-des-quais",
    }
    assert not any(index.differences(library).values())
    assert library.index.search("visitors").total == 0


def test_a_second_demonstration_adds_nothing_and_says_so(played):
    """It shows the same library, marks what was found, and what it says to try next works.

    Also with VEILLE_HOME set to what the first one made, as that one advises.
    """
    again = Demo(played.home.parent)
    again.environment["VEILLE_HOME"] = str(played.home)
    said = again.play()
    assert "Nothing was added." in said
    assert re.search(r"discovered\W.*\b0\b", said)
    assert f"{MARKED}garanties" in said
    copies = said.partition("Copies")[2].partition("Topics")[0]
    assert copies.count("└") == 5
    explained = said.partition("Why an article carries its topics")[2].partition("A search")[0]
    assert re.search(r"ukraine-garanties-securite: score \S+, confidence", explained)
    assert "« " in explained
    script = said.partition("Next")[2].partition("\n")[2]
    assert script.count("veille ") == 3
    subprocess.run(
        ["bash", "-e"], input=script.encode(), cwd=played.home.parent, env=played.environment, check=True
    )


def test_nothing_stays_behind(played):
    """15 s after its end no process is left, the embedded server included."""
    assert eventually(lambda: not played.processes(), QUIET_SECONDS)


@pytest.fixture
def newcomer():
    """A demonstration by an account without rights: `nobody` where root runs the tests, else our own."""
    account = NOBODY if IS_ROOT else None
    if not python_of(account):
        pytest.skip(f"{account.pw_name} can reach neither {sys.executable} nor another Python, or not {ROOT}")
    home = Path(tempfile.mkdtemp(prefix="veille-test-", dir="/tmp")).resolve()
    if account:
        os.chown(home, account.pw_uid, account.pw_gid)
    demo = Demo(home, account)
    yield demo
    demo.end()
    shutil.rmtree(home)


def _serves(demo):
    return (demo.home / "newsroom.json").exists()


def _asks_for_the_database(demo):
    return (demo.home / "postgres" / "place.json").exists()


def _prepares_airflow(demo):
    return any("migrate" in words(process) for process in demo.processes())


def _fetches(demo):
    return any(path.stat().st_size for path in (demo.home / "archive").rglob("*.warc.gz"))


def _plays_the_second_edition(demo):
    return Newsroom(demo.home).edition == 2


MOMENTS = [
    (_serves, signal.SIGINT),
    (_asks_for_the_database, signal.SIGKILL),
    (_prepares_airflow, signal.SIGTERM),
    (_fetches, signal.SIGKILL),
    (_plays_the_second_edition, signal.SIGINT),
]


def test_interrupted_at_any_moment_it_goes_on(newcomer):
    """Ctrl-C, SIGTERM, SIGKILL: started again at once it shows in the end what it always shows.

    What it had started ends meanwhile, whoever was killed.
    """
    old: list[psutil.Process] = []
    for moment, number in MOMENTS:
        main = newcomer.start()
        assert eventually(lambda: not any(process.is_running() for process in old), QUIET_SECONDS)  # noqa: B023
        old = _interrupt(newcomer, main, moment, number)
    report = json.loads(newcomer.play("--json"))
    assert report["outcomes"] == OUTCOMES
    assert report["adds_up"]
    assert not any(report["index_differs"].values())


def test_killed_while_it_works_it_leaves_nothing_behind(newcomer):
    """15 s after SIGKILL, with nobody who starts it again, neither Airflow nor the database is there."""
    assert _interrupt(newcomer, newcomer.start(), _prepares_airflow, signal.SIGKILL)
    assert eventually(lambda: not newcomer.processes(), QUIET_SECONDS)


def _interrupt(demo: Demo, main: subprocess.Popen, moment, number: int) -> list[psutil.Process]:
    """End it at that moment; what it had started until then, apart from the database, which goes on."""
    assert eventually(lambda: main.poll() is not None or moment(demo), 300)
    started = [process for process in demo.processes() if not _is_of_the_database(process)]
    assert main.poll() is None, demo.messages.read_text()
    os.killpg(main.pid, number) if number == signal.SIGINT else main.send_signal(number)
    assert main.wait(QUIET_SECONDS) == (130 if number == signal.SIGINT else -number), (
        demo.messages.read_text()
    )
    return started


def _is_of_the_database(process: psutil.Process) -> bool:
    said = words(process)
    return not said or "postgres" in said[0] or "pipeline.store.embedded.supervisor" in said


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    """One message with the cause and the way out, and no traceback."""
    (tmp_path / "file").touch()
    environment = Demo(tmp_path / "file" / "home").environment
    done = subprocess.run([VEILLE, "demo"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Not a directory" in done.stderr
    assert "VEILLE_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_does_not_outlive_a_parent_that_is_gone_already():
    """Killed before its child first looks: the child knows whom to look for."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    child = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline.offspring",
            str(gone.pid),
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "0",
        ],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert child.returncode == 1
