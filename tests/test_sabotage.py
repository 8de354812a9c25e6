"""What people meet when something is wrong: one message with its cause and the next command.

A table of sabotage. Each row breaks something for real, types one command, and looks at what it says: never
a traceback, an exit code above zero, and where data were at stake, the same command does it all once the
fault is gone.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import scenes
from faults import (
    a_folder,
    an_empty_database,
    both,
    failing,
    filled_up,
    full,
    gone,
    index_file,
    index_read_only,
    locked_index,
    nothing,
    on_a_server,
    read_only,
    reading_the_press,
    replaced,
    served,
    stocked,
    taken_port,
    unreadable,
    without_network,
    written_index,
    wrote,
)
from offspring import PROGRAM
from scenes import ARTICLES, SOURCES
from sites import Site
from waiting import eventually

from pipeline.installation import repair

pytestmark = pytest.mark.slow

SOURCES_YAML, CLIMATE = "config/sources.yaml", "config/topics/climat.yaml"
NOWHERE = "postgresql://127.0.0.1:1/x"
IMPORT = "documents import articles.ndjson"


@dataclass(frozen=True)
class Case:
    """Something wrong, the command that meets it, and what is said of its cause and of what to do."""

    wrong: str
    command: str  # as typed behind `veille`
    cause: str
    hint: str
    fault: Callable[[Any], Any] = nothing
    settings: Mapping[str, str] = field(default_factory=dict)
    redirection: str = ""
    code: int = 1
    again: bool = False  # the fault gone, the command does it all

    def __post_init__(self) -> None:
        assert self.cause, f"{self.wrong}: every cause is named"
        assert self.hint, f"{self.wrong}: there is always something to do next"


FILES = [
    Case("a page that is not there", "extract nowhere.html", "nowhere.html cannot be read: No such",
         "ls -l ."),
    Case("a folder for a page", "extract folder", "folder cannot be read: Is a directory", "ls -l folder"),
    Case("an empty page", "extract empty", "empty: empty page", "an article's page is expected"),
    Case("a page of bytes", "extract junk", "junk: no HTML", "an article's page is expected"),
    Case("a page without an end", "extract /dev/zero", "it has more than 10,000,000 bytes", "no page"),
    Case("a page of somebody else", "extract page.html", "Permission denied", "ls -l",
         unreadable("page.html")),
    Case("a name in another encoding", b"extract caf\xe9.html".decode(errors="surrogateescape"),
         "cannot be read: No such file", "ls -l ."),
    Case("a feed that is not there", "feeds parse none.xml", "none.xml cannot be read: No such", "ls -l ."),
    Case("a folder for a feed", "feeds parse folder", "Is a directory", "ls -l folder"),
    Case("an empty feed", "feeds parse empty", "empty: the feed is empty", "RSS, Atom"),
    Case("a feed of bytes", "feeds parse junk", "junk: neither XML nor JSON", "RSS, Atom"),
    Case("a page for a feed", "feeds parse page.html", "an HTML page, not a feed",
         "veille extract reads pages"),
    Case("a feed to import that is none", "feeds import junk", "no feed: junk: neither XML nor JSON",
         "RSS, Atom",
         on_a_server()),
    Case("a feed to import that is missing", "feeds import feed.xml none.xml",
         "1 of 2 files could not be taken",
         "the other files were taken", on_a_server()),
    Case("articles that are not there", "documents import none", "none cannot be read: No such", "ls -l ."),
    Case("a folder for articles", "documents import folder", "Is a directory", "ls -l folder"),
    Case("no articles", "documents import empty", "empty holds no article", "one article a line"),
    Case("articles of bytes", "documents import latin.txt", "line 1: not JSON", "one article a line",
         on_a_server()),
    Case("a text that is not there", "language none.txt", "none.txt cannot be read: No such", "ls -l ."),
    Case("a folder for a text", "language folder", "Is a directory", "ls -l folder"),
    Case("an empty text", "language empty", "empty holds no text", "the title stands on the first line"),
    Case("a text in latin-1", "language latin.txt", "latin.txt is not UTF-8 text (byte 8)", "veille extract"),
    Case("an empty text to tag", "tag empty", "empty holds no text", "the title stands on the first line"),
    Case("a folder to tag", "tag folder", "Is a directory", "ls -l folder"),
    Case("one text to compare that is not there", "compare text.txt none", "none cannot be read: No such",
         "ls"),
    Case("an empty text to compare", "compare text.txt empty", "empty holds no text", "the title stands"),
    Case("an address that is none", "canonical mailto:a@b", "not an absolute http(s) URL",
         "give the whole address"),
    Case("an address with half a host", "extract http://[::1", "is no address", "give the whole address"),
    Case("figures for a folder", "status --prometheus folder", "folder cannot be written: Is a directory",
         "ls -ld", on_a_server()),
    Case("figures for a folder that is not there", "status --prometheus none/v.prom",
         "none/v.prom cannot be written: No such", "ls -ld", on_a_server()),
    Case("a file for the newsroom's home", "newsroom --home text.txt", "text.txt: File exists",
         "veille newsroom --home FOLDER"),
    Case("a newsroom's home of somebody else", "newsroom --home folder/x", "folder/x: Permission denied",
         "veille newsroom --home FOLDER", unreadable("folder")),
    Case("a newsroom of somebody else", "newsroom --home folder --settings",
         "folder/newsroom.json: Permission denied", "ls -ld ", unreadable("folder")),
    Case("a newsroom's home below a file", "newsroom --home text.txt/x", "text.txt/x: Not a directory",
         "veille newsroom --home FOLDER"),
]  # fmt: skip

CONFIGURATION = [
    Case("no catalogue", "sources", "config/sources.yaml: no such file", "point VEILLE_CONFIG at the folder",
         gone(SOURCES_YAML)),
    Case("a folder for the catalogue", "ingest", "config/sources.yaml: cannot be read: Is a directory",
         "ls -l",
         a_folder(SOURCES_YAML)),
    Case("a catalogue that may not be read", "sources", "sources.yaml: cannot be read: Permission", "ls -l",
         unreadable(SOURCES_YAML)),
    Case("an empty catalogue", "sources", "sources.yaml:1: publishers: missing", "veille sources",
         wrote(SOURCES_YAML, "")),
    Case("a catalogue of bytes", "sources", "sources.yaml:2: cannot be read: expected text in UTF-8",
         "veille sources", wrote(SOURCES_YAML, bytes(range(256)))),
    Case("a catalogue in latin-1", "canonical https://gazette.invalid/a",
         "sources.yaml:3: cannot be read: expected text in UTF-8", "veille sources",
         wrote(SOURCES_YAML, SOURCES.replace("La Gazette", "L'Écho").encode("latin-1"))),
    Case("broken YAML", "ingest", "sources.yaml:7: not valid YAML: ", "veille sources",
         replaced(SOURCES_YAML, "[gazette.invalid]", "[gazette.invalid")),
    Case("a field that there is not", "sources",
         "sources.yaml:7: publishers[0].feed: unknown field; did you mean 'feeds'?", "veille sources",
         replaced(SOURCES_YAML, "feeds:", "feed:")),
    Case("a field of another kind", "sources",
         "sources.yaml:6: publishers[0].domains: found 'gazette.invalid'; expected a list", "veille sources",
         replaced(SOURCES_YAML, "[gazette.invalid]", "gazette.invalid")),
    Case("one id for two", "ingest",
         "sources.yaml:9: publishers[1].id: found 'gazette' again; expected a id once", "veille sources",
         replaced(SOURCES_YAML, "id: courrier", "id: gazette")),
    Case("no topics", "tag text.txt", "config/topics: no such folder", "point VEILLE_CONFIG at the folder",
         gone("config/topics")),
    Case("topics that may not be read", "tag text.txt", "config/topics: cannot be read: Permission", "ls -ld",
         unreadable("config/topics")),
    Case("a topic with broken YAML", "topics",
         "climat.yaml:2: not valid YAML: did not find expected ',' or ']' while parsing", "veille doctor",
         wrote(CLIMATE, "id: [climat")),
    Case("a topic with a day that is none", "tag text.txt",
         "climat.yaml:2: version: found '2024-13-45'; expected something that exists", "veille doctor",
         wrote(CLIMATE, "id: climat\nversion: 2024-13-45\n")),
    Case("a topic that its examples belie", "tag text.txt", "climat.yaml:", "veille doctor",
         replaced(CLIMATE, "threshold: 5", "threshold: 999")),
]  # fmt: skip

NAMES = [
    Case("a command that there is not", "serch pont", "No such command 'serch'. Did you mean 'search'?",
         "veille --help", code=2),
    Case("a query that is missing", "search", "Missing argument", "veille search --help", code=2),
    Case("an option that there is not", "runs show --jsn", "No such option: --jsn",
         "veille runs show --help", code=2),
    Case("a query that starts with a dash", "search -pont", "words that start with a dash stand behind --",
         "veille search -- -word", code=2),
    Case("a field that there is not in a query", "search titel:pont", "unknown field 'titel'",
         "did you mean title:?"),
    Case("a quote without its end", "search '\"pont'", "this quote is not closed", "veille search --help"),
    Case("days in the wrong order", "search pont --since 2026-03-02 --until 2026-03-01", "lies after --until",
         "--since 2026-03-01 --until 2026-03-02"),
    Case("a topic that there is not", "search pont --topic ukraine-garantie", "no topic 'ukraine-garantie'",
         "did you mean ukraine-garanties-securite?", on_a_server()),
    Case("a topic that there is not in a query", "search 'pont OR NOT topic:climt'", "no topic 'climt'",
         "did you mean climat?", on_a_server()),
    Case("a publisher that there is not", "search pont --publisher gazete", "no publisher 'gazete'",
         "did you mean gazette?", on_a_server()),
    Case("a language that there is not", "search pont --language english", "no language 'english'",
         "fr", stocked),
    Case("an order that there is not", "search pont --sort zzz", "no sort order 'zzz'",
         "one of: relevance, newest, oldest"),
    Case("a source that there is not", "ingest --source gazete", "did you mean 'gazette'?", "veille sources"),
    Case("a feed that there is not", "ingest --feed https://gazette.invalid/rs",
         "is no feed of the catalogue",
         "did you mean https://gazette.invalid/rss?"),
    Case("a day that is none", "ingest --day tomorrow", "one like 2026-03-01 is expected", "date -I"),
    Case("a day to come", "ingest --day 9000-01-01", "9000-01-01 has not come yet", "leave --day out"),
    Case("a day before all days", "ingest --day 0001-01-01", "is in the year 1",
         "the year with four digits"),
    Case("a time of saving of no year", "feeds import feed.xml --at 0202-01-26T11:00",
         "is in the year 202; 1000 to 9998 are possible", "the year with four digits"),
    Case("a time of saving that is none", "feeds import feed.xml --at soon", "a time like 2024-01-26T11:00",
         "date -Iminutes"),
    Case("a time of saving to come", "feeds import feed.xml --at 9000-01-01", "has not come yet",
         "leave --at out"),
    Case("an article that there is not", "show 999999", "there is no article 999999", "veille search",
         on_a_server()),
    Case("an article that is no address", "show pont", "neither an article's id nor a URL", "veille search",
         on_a_server()),
    Case("a run that there is not", "runs show nothing", "there is no run nothing", "veille runs",
         on_a_server()),
    Case("no run yet", "retry --run last", "there has been no run yet", "veille ingest", on_a_server()),
    Case("nothing to retry", "retry https://gazette.invalid/a", "no entry that failed has this address",
         "veille runs show last", on_a_server()),
    Case("nothing said to retry", "retry", "a URL is needed, or --run", "veille runs show"),
    Case("a file beside NDJSON", "language text.txt --ndjson", "it takes no file and no --json",
         "leave the others out"),
    Case("an address to retry that is none", "retry pont", "not an absolute http(s) URL",
         "give the whole address"),
    Case("a newsroom at a time that is none", "newsroom --now bientôt", "--now is 'bientôt'",
         "date -Iminutes"),
    Case("a newsroom with a clock that goes back", "newsroom --tick -2", "-2 seconds a second", "--tick 0"),
    Case("a newsroom to move that is not started", "newsroom --settings --port 2000",
         "--settings starts none", "veille newsroom --port 2000"),
    *(Case(f"no library: {command}", command, "there is no library in ", "veille ingest")
      for command in ("search pont", "show 1", "runs", "runs show", "retry --run last", "status",
                      "index check", "index rebuild")),
    Case("no library in the database of a server", "status", "there is no library in the database",
         "veille ingest", an_empty_database),
]  # fmt: skip

SETTINGS = [
    Case("a database of another make", "status", "starts with 'mysql'; postgresql://… is expected",
         "unset VEILLE_DATABASE_URL", settings={"VEILLE_DATABASE_URL": "mysql://x"}),
    Case("a database's password with an @", "status", "VEILLE_DATABASE_URL is not like postgresql://",
         "%40 for @",
         settings={"VEILLE_DATABASE_URL": "postgresql://veille:gehe@im@127.0.0.1:1/x"}),
    Case("a database's host that there is not", "runs", "the database does not answer", "VEILLE_DATABASE_URL",
         settings={"VEILLE_DATABASE_URL": "postgresql://nowhere.invalid/x"}),
    Case("an index of another make", "search pont", "neither tantivy: ", "unset VEILLE_INDEX_URL",
         settings={"VEILLE_INDEX_URL": "x:9200"}),
    Case("an index server that is down", "search pont", "does not answer: Connection refused",
         "check VEILLE_INDEX_URL", fault=stocked, settings={"VEILLE_INDEX_URL": "http://127.0.0.1:9"}),
    Case("a contact that is none", "ingest", "VEILLE_CONTACT is 'me'; a mail address or an http(s) address",
         "export VEILLE_CONTACT", settings={"VEILLE_CONTACT": "me"}),
    Case("a contact of two lines", "extract https://gazette.invalid/a", "VEILLE_CONTACT is 'a@b.fr\\nX: y'",
         "export VEILLE_CONTACT", settings={"VEILLE_CONTACT": "a@b.fr\nX: y"}),
    Case("a host to allow without its port", "ingest", "VEILLE_ALLOW_HOSTS: 'localhost' is not host:port",
         "export VEILLE_ALLOW_HOSTS", settings={"VEILLE_ALLOW_HOSTS": "localhost"}),
    Case("a lease that is no number", "status", "VEILLE_LEASE_SECONDS is 'soon'",
         "unset VEILLE_LEASE_SECONDS",
         settings={"VEILLE_LEASE_SECONDS": "soon"}),
    Case("a lease without end", "status", "0.5 to 3600 seconds are possible", "unset VEILLE_LEASE_SECONDS",
         settings={"VEILLE_LEASE_SECONDS": "1e300"}),
    Case("a clock that is shifted in earnest", "status", "refused without VEILLE_ALLOW_HOSTS",
         "unset VEILLE_CLOCK_OFFSET", settings={"VEILLE_CLOCK_OFFSET": "60"}),
    Case("a log level that there is not", "status", "VEILLE_LOG_LEVEL is 'bogus'; one of these is expected",
         "unset VEILLE_LOG_LEVEL", settings={"VEILLE_LOG_LEVEL": "bogus"}),
    Case("a file for the home", IMPORT, "text.txt", "set VEILLE_HOME to a folder of yours",
         settings={"VEILLE_HOME": "text.txt"}),
    Case("a folder for configuration that there is not", "ingest", "none/sources.yaml: no such file",
         "point VEILLE_CONFIG", settings={"VEILLE_CONFIG": "none"}),
    Case("a private address", "extract http://127.0.0.1:8000/a", "leads to 127.0.0.1 (loopback",
         "VEILLE_ALLOW_HOSTS"),
]  # fmt: skip

DATABASES = [
    *(Case(f"a database that is down: {command}", command, "the database does not answer",
           "check VEILLE_DATABASE_URL and that the server runs", settings={"VEILLE_DATABASE_URL": NOWHERE})
      for command in ("ingest", "show 1", "topics", "runs", "status", "retry --run last",
                      "index rebuild", "feeds import feed.xml", IMPORT)),
    Case("a database that there is not", "status", 'database "none" does not exist',
         "check VEILLE_DATABASE_URL",
         on_a_server(options="&dbname=none")),
    Case("a database of an older Veille", "ingest", "the database has schema 0000, this Veille needs 0001",
         "veille doctor --migrate", on_a_server("update alembic_version set version_num = '0000'")),
    Case("a database of a newer Veille", "status", "the database has schema 9999, this Veille knows 0001",
         "install the newer Veille", on_a_server("update alembic_version set version_num = '9999'")),
    Case("a database of another program", IMPORT, "the database holds something that is not Veille's",
         "createdb veille", on_a_server("drop table alembic_version")),
    Case("a database of somebody else", IMPORT, "the database refuses: permission denied", "owner",
         on_a_server("do $$ begin create role guest; exception when duplicate_object then end $$",
                     options="&options=-c%20role%3Dguest"), again=True),
    Case("a database that is a copy", IMPORT, "the database takes no writes", "VEILLE_DATABASE_URL",
         on_a_server(options="&options=-c%20default_transaction_read_only%3Don"), again=True),
    Case("a database that goes away", IMPORT, "the database went away", "run the command again",
         failing("revision", "perform pg_terminate_backend(pg_backend_pid())"), again=True),
    Case("a database on a full disk", IMPORT, "the database's disk is full", "free some space",
         failing("fingerprint", "raise exception using errcode = 'disk_full'"), again=True),
    Case("a database with a bug", IMPORT, "a bug: InternalError_ in ", "veille.log",
         failing("entry", "raise exception using errcode = 'internal_error'"), again=True),
]  # fmt: skip

DISKS = [
    Case("a home without space", IMPORT, "No space left on device", "free some space",
         full("home", "100m", 4096), again=True),
    Case("a home that became full", IMPORT, "No space left on device", "free some space", filled_up,
         again=True),
    Case("a full home, the database elsewhere", IMPORT, "No space left on device", "free some space",
         both(on_a_server(), full("home", "1m")), again=True),
    Case("a full archive", "ingest", "the archive in ", "VEILLE_ARCHIVE",
         both(reading_the_press, full("archive", "8m")), again=True),
    Case("a full disk for figures", "status --prometheus small/v.prom",
         "small/v.prom cannot be written: No space",
         "ls -ld", both(on_a_server(), full("small", "64k")), again=True),
    Case("a read-only home", IMPORT, "Read-only file system", "set VEILLE_HOME to a folder of yours",
         read_only("home"), again=True),
    Case("a read-only home, the database elsewhere", IMPORT, "Read-only file system", "set VEILLE_HOME",
         both(on_a_server(), read_only("home")), again=True),
    Case("a read-only home for the demonstration", "demo", "Read-only file system", "set VEILLE_HOME",
         read_only("home")),
    Case("a home of somebody else", IMPORT, "Permission denied", "set VEILLE_HOME to a folder of yours",
         both(a_folder("home"), unreadable("home"))),
    Case("a home of somebody else that may have a configuration", IMPORT, "Permission denied",
         "set VEILLE_HOME", both(a_folder("home"), unreadable("home")), settings={"VEILLE_CONFIG": ""}),
]  # fmt: skip

OTHERS = [
    Case("another Veille writes the index", IMPORT,
         "another process has been writing the search index for 30 s",
         "wait for its end", locked_index, again=True),
    Case("another program writes the index", IMPORT, "another process writes to the search index", "fuser",
         written_index, again=True),
    Case("an index of an older Veille", "search budget", "has schema 0; this version needs",
         "veille index rebuild",
         index_file("SCHEMA", "0")),
    Case("a damaged index", "search budget", "is damaged", "veille index rebuild", index_file("meta.json",
         "{")),
    Case("a damaged index, to write to", IMPORT, "is damaged", "veille index rebuild",
         index_file("meta.json", "{")),
    Case("an index that may only be read", "search budget", "cannot be opened: Read-only file system",
         "make its folder writable", index_read_only),
    Case("a port that another has", "newsroom", "cannot listen on 127.0.0.1:", "veille newsroom --home",
         taken_port("home/newsroom")),
    Case("a port of the demonstration that another has", "demo", "cannot listen on 127.0.0.1:",
         "then run the demo again", taken_port("home/demo")),
    Case("the press into the newsroom's library", "ingest", "is the sample newsroom's", "unset VEILLE_HOME",
         taken_port("home")),
    Case("a newsroom that is being served", "newsroom", "is being served by another process", "stop that one",
         served),
    Case("no network for a page", "extract https://gazette.invalid/a",
         "no address is known for gazette.invalid",
         "try again later", without_network),
    Case("no network for feeds", "ingest", "no feed answered: ", "veille status",
         both(on_a_server(), without_network)),
]  # fmt: skip

PAIR = b'{"a": {"text": "Un texte"}, "b": {"text": "Un texte"}}\n'
STREAMS = [
    Case("no standard input", "compare --ndjson", "standard input is closed", "in a pipe", redirection="<&-"),
    Case("no standard input for a text", "language -", "standard input is closed", "in a pipe",
         redirection="<&-"),
    Case("a standard input for writing", "compare --ndjson", "standard input cannot be read: ", "in a pipe",
         redirection="0> written"),
    Case("a standard input for writing, for a text", "tag -", "standard input cannot be read: ", "in a pipe",
         redirection="0> written"),
    Case("no standard output", "sources", "standard output is closed", "> /dev/null",
         redirection=">&-"),
    *(Case(f"a full disk behind standard output: {command}", command,
           "standard output: No space left on device", "free some space", redirection="> /dev/full")
      for command in ("sources", "sources --json", "language text.txt")),
]  # fmt: skip

CASES = [*FILES, *CONFIGURATION, *NAMES, *SETTINGS, *DATABASES, *DISKS, *OTHERS, *STREAMS]


@pytest.fixture
def scene(request):
    made = scenes.Scene(scenes.folder_for_all(), request)
    yield made
    made.end()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.wrong)
def test_what_is_wrong_is_said_once(case, scene):
    """One message with cause and next command, no traceback; and nothing is lost."""
    arguments = shlex.split(case.command)
    with case.fault(scene):
        code, out, said = scene.run(arguments, case.redirection, **case.settings)

    assert (code, case.cause in said) == (case.code, True), said
    assert "Traceback" not in out + said
    assert "ignored" not in said, "Python's own complaint at its end"
    _, _, hints = said.partition("\n  → ")
    assert case.hint in hints, said
    assert "→" not in hints, "one thing to do"
    assert said.count("veille: ") == 1, said
    if case.again:
        _does_it_now(scene, arguments)


def _does_it_now(scene, arguments):
    code, _, said = scene.run(arguments)
    assert code == 0, said
    if arguments[0] in {"documents", "ingest"}:
        code, out, _ = scene.run(["index", "check"])
        assert (code, out) == (0, "the index holds what the store holds\n")
    if arguments[0] == "documents":
        _, out, _ = scene.run(["search", "*", "--json"])
        assert json.loads(out)["total"] == len((scene.folder / "articles.ndjson").read_text().splitlines())
    if arguments[0] == "ingest":
        _, out, _ = scene.run(["status", "--json"])
        outcomes = json.loads(out)["outcomes"]
        assert sum(outcomes.values()) == 32
        assert outcomes["waiting"] == 0


def test_where_the_traceback_is(scene):
    """In the home's log, or on standard error for those who asked for it there."""
    scene.on_a_server()
    scene.home.mkdir()
    scene.run(["show", "999999"])
    _, _, said = scene.run(["show", "999999"], VEILLE_LOG="json")

    assert "Traceback (most recent call last)" in (scene.home / "veille.log").read_text()
    assert "Traceback" in json.loads(said.splitlines()[0])["traceback"]


def test_a_command_that_only_looks_leaves_no_home_behind(scene):
    """Neither help nor a doctor nor a page that is read makes a folder in which there is nothing; nor does
    a command that fails make one for its log.
    """
    for command in (
        "--help",
        "doctor",
        "sources",
        "topics",
        "canonical https://gazette.invalid/a",
        "language text.txt",
    ):
        code, _, said = scene.run(shlex.split(command))
        assert code == 0, said
        assert not scene.home.exists(), command
    for command in ("extract none.html", "search pont", "status"):
        assert scene.run(shlex.split(command))[0] == 1
        assert not scene.home.exists(), command


def test_topics_are_counted_where_there_is_a_library(scene):
    """Elsewhere there is nothing to count, which is not 0."""
    assert {topic["articles"] for topic in json.loads(scene.run(["topics", "--json"])[1])} == {None}
    scene.on_a_server()
    assert {topic["articles"] for topic in json.loads(scene.run(["topics", "--json"])[1])} == {0}


def test_a_password_is_never_shown(scene):
    """Neither the message nor the log has the password of a URL that fails."""
    secret = {"VEILLE_DATABASE_URL": "postgresql://someone:geheim99@127.0.0.1:1/x"}
    for command in ("status", "doctor"):
        _, out, said = scene.run([command], **secret, VEILLE_LOG="text")
        assert "geheim99" not in out + said
    _, out, said = scene.run(["status"], VEILLE_DATABASE_URL="postgresql://someone:geheim/99@127.0.0.1:1/x")
    assert "geheim" not in out + said


# --- what is missing in the program itself

BROKEN = """
import sys
{}
from pipeline.cli import app
def broken():
    raise ZeroDivisionError("the page says: geheim")
app.app.command()(broken)
app.run()
"""


@pytest.mark.parametrize(
    ("before", "command", "cause", "hint"),
    [
        ("", "broken", "a bug: ZeroDivisionError in ", "please report it, with the end of {home}/veille.log"),
        (
            "sys.modules['py3langid'] = None",
            "language text.txt",
            "a library is missing or broken: ",
            repair(),
        ),
    ],
)
def test_a_broken_program_says_so(scene, before, command, cause, hint):
    """Without the message of a bug, which may quote a page."""
    scene.home.mkdir()
    program = scene.folder / "broken.py"
    program.write_text(BROKEN.format(before))
    done = subprocess.run(
        [*PROGRAM, str(program), *command.split()],
        env=os.environ | scene.settings,
        cwd=scene.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert f"veille: {cause}" in done.stderr
    assert f"\n  → {hint.format(home=scene.home)}\n" in done.stderr
    assert "geheim" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (scene.home / "veille.log").read_text()


def test_a_bug_without_a_home_says_how_its_traceback_can_be_seen(scene):
    """There is no log to send then."""
    program = scene.folder / "broken.py"
    program.write_text(BROKEN.format(""))
    said = subprocess.run(
        [*PROGRAM, str(program), "broken"],
        env=os.environ | scene.settings,
        capture_output=True,
        text=True,
        check=False,
    ).stderr

    assert said.endswith("\n  → run it again with VEILLE_LOG=text, and please report what it says then\n")
    assert not scene.home.exists()


# --- streams that say nothing


@pytest.mark.parametrize("command", ["compare --ndjson", "doctor", "doctor --json", "sources"])
def test_nobody_listens_any_more(scene, command):
    """`veille … | head -1`: the code of SIGPIPE, and silence."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        process = scene.started(command.split(), stdin=subprocess.PIPE, stdout=stdout)
        _, said = process.communicate(PAIR)

    assert (process.returncode, said) == (141, b"")


def test_messages_that_nobody_takes_stop_nothing(scene):
    """Standard error closed or full: the code says it."""
    for redirection in ("2>&-", "2> /dev/full"):
        assert scene.run(["extract", "none.html"], redirection)[:2] == (1, "")
        assert scene.run(["language", "text.txt"], redirection)[0] == 0


@pytest.mark.parametrize(
    "encoding",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "", "LANG": "fr_FR.ISO-8859-1"},
        {"LC_ALL": "fr_FR.UTF-8"},
    ],
    ids=str,
)
def test_any_locale_shows_what_it_can(scene, encoding):
    """A person reads « ? » for what the encoding lacks; a program gets UTF-8."""
    replaced(SOURCES_YAML, "La Gazette", "L’Écho d'Œuvre")(scene).__enter__()
    code, out, said = scene.run(["sources"], **encoding)
    assert (code, said) == (0, "")
    assert "cho d'" in out
    code, out, said = scene.run(["sources", "--json"], **encoding)
    assert (code, said) == (0, "")
    assert json.loads(out)[0]["name"] == "L’Écho d'Œuvre"


def test_a_file_name_that_is_no_text_can_be_told(scene):
    """Its bytes that are no UTF-8 are shown as « ? », to people and to programs."""
    scene.on_a_server()
    good, none = (os.fsdecode(os.fsencode(scene.folder) + name) for name in (b"/caf\xe9.xml", b"/th\xe9.xml"))
    Path(good).write_text(scenes.FEED)
    Path(none).write_text("Bonjour")
    for options in ([], ["--json"]):
        code, out, said = scene.run(["feeds", "import", good, none, *options])
        assert (code, "Traceback" in said) == (1, False), said
        assert "1 of 2 files could not be taken" in said
    told = json.loads(out)
    assert (told["feeds"], told["not_feeds"][0]["path"]) == (1, f"{scene.folder}/th?.xml")


# --- Ctrl-C


def test_an_interruption_is_said(scene):
    """A message, the code of SIGINT, and no traceback."""
    process = scene.started(["compare", "--ndjson"], stdin=subprocess.PIPE)
    process.stdin.write(PAIR)
    process.stdin.flush()
    process.stdout.readline()
    assert _interrupted(process).startswith("veille: interrupted; what was done is kept\n  → run the same")


def test_an_interrupted_import_goes_on(scene):
    """While it waits for the index: the articles are in the library, and the next command writes the rest."""
    with locked_index(scene):
        process = scene.started(IMPORT.split())
        assert eventually(lambda: _count(scene, "outbox") == ARTICLES, 60)
        assert "interrupted; what was done is kept" in _interrupted(process)
    _does_it_now(scene, IMPORT.split())


def test_an_interrupted_run_goes_on(scene):
    """While a page is awaited that does not come; once it comes, it becomes an article."""
    items = "".join(f"<item><title>Page {n}</title><link>/{n}.html</link></item>" for n in range(4))
    feed = f'<rss version="2.0"><channel><title>Une</title>{items}</channel></rss>'.encode()
    hangs = [True]

    def page(talk):
        if not hangs or not talk.stop.wait(60):
            talk.answer(
                "200 OK", scenes.PAGE.replace("pont", f"pont {talk.path}").encode(), "Content-Type: text/html"
            )

    answers = {
        "/rss": lambda talk: talk.answer("200 OK", feed, "Content-Type: application/rss+xml"),
        "/3.html": page,
    }
    with Site(answers, "gazette.localhost") as site:
        sources = SOURCES.replace("https://gazette.invalid/rss", site.url("/rss"))
        wrote(SOURCES_YAML, sources.replace("gazette.invalid", "gazette.localhost"))(scene).__enter__()
        scene.on_a_server()
        scene.settings |= {
            "VEILLE_ALLOW_HOSTS": site.host,
            "VEILLE_HOST_GAP_SECONDS": "0",
            "VEILLE_LEASE_SECONDS": "2",
        }
        process = scene.started(["ingest"])
        assert eventually(lambda: "/3.html" in site.paths, 60)
        assert "interrupted; what was done is kept" in _interrupted(process)
        hangs.clear()
        code, _, said = scene.run(["ingest"])
        assert code == 0, said
        _, out, _ = scene.run(["status", "--json"])
        assert json.loads(out)["outcomes"]["waiting"] == 0
        assert sum(json.loads(out)["outcomes"].values()) == 4


def _interrupted(process):
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # Where it came inside code made from a string, as namedtuple makes it, Python ends by the signal itself;
    # a shell says 130 of both.
    assert process.returncode in {130, -signal.SIGINT}, said
    assert b"Traceback" not in said
    assert said.count(b"veille: ") == 1
    return said.decode()


def _count(scene, table):
    import psycopg

    name, server = scene.database
    with psycopg.connect(server.url(name)) as connection:
        return connection.execute(f"select count(*) from {table}").fetchone()[0]
