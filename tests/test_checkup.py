"""`veille doctor`: what it looks at, what it calls good, and that it leaves things as they are."""

import contextlib
import json
import os
import re
import socket
from dataclasses import replace
from datetime import timedelta

import databases
import pytest
import scenes
from accounts import python_path
from readings import GAZETTE, opened, prose, read, settle
from sites import query

from pipeline import installation, steps
from pipeline.checkup import all_checks, library, machine, memory
from pipeline.newsroom.server import Newsroom
from pipeline.store import runs

GIGABYTE = 1 << 30
BIGGEST = "ps -eo rss,pid,args --sort -rss | head shows what to close"
LINES = (
    *("Python", "memory", "disk", "ports", "locale", "database"),
    *("index", "archive", "configuration", "clock", "feeds"),
)


def line(runtime, what):
    """State, finding and hint of one line."""
    [check] = [check for check in all_checks(runtime) if check.what == what]
    return check.state, check.found, check.hint


# --- memory


def groups(root, lines, **files):
    """A machine's control groups, as the kernel shows them: `a__b__name` is the file `name` of a/b."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def group(path, most, used, cache):
    """One group of version 2."""
    return {
        f"{path}memory_DOT_max": f"{most}\n",
        f"{path}memory_DOT_current": f"{used}\n",
        f"{path}memory_DOT_stat": f"anon 1\ninactive_file {cache}\n",
    }


def old_group(path, most, used, cache):
    return {
        f"memory__{path}memory_DOT_limit_in_bytes": f"{most}\n",
        f"memory__{path}memory_DOT_usage_in_bytes": f"{used}\n",
        f"memory__{path}memory_DOT_stat": f"cache 9\ntotal_inactive_file {cache}\n",
    }


@pytest.mark.parametrize(
    ("lines", "files", "room"),
    [
        ([], {}, None),
        (["0::/a/b"], group("a__b__", "max", 5, 0), None),
        (["0::/a/b"], group("a__b__", 100, 60, 20), (60, 100)),
        (["0::/a/b"], group("a__b__", 100, 60, 20) | group("a__", 90, 80, 0), (10, 90)),
        (["0::/a/b"], group("a__b__", "max", 60, 20) | group("", 90, 80, 0), (10, 90)),
        (["0::/docker/id"], group("", 90, 80, 0), (10, 90)),
        (["4:memory:/a", "1:cpu:/", "0::/"], old_group("a__", 100, 60, 20), (60, 100)),
        (["4:cpu,memory:/docker/id"], old_group("", 100, 60, 20), (60, 100)),
        (["1:cpu:/a"], old_group("a__", 100, 60, 20), None),
    ],
    ids=["other systems", "no limit", "its own", "one around it", "the outermost", "in a container",
         "version 1", "version 1 in a container", "without memory"],
)  # fmt: skip
def test_the_tightest_control_group_counts(tmp_path, lines, files, room):
    """What the kernel can take back from caches is free."""
    if lines:
        groups(tmp_path, lines, **files)

    assert memory.of_groups(tmp_path) == room


@pytest.mark.parametrize(
    ("free", "count", "state", "hint"),
    [
        (2 * GIGABYTE, 2, "ok", ""),
        (0.7 * GIGABYTE, 2, "warning", "taskset -c 0 veille ingest"),
        (0.4 * GIGABYTE, 2, "failed", BIGGEST),
        (0.4 * GIGABYTE, 1, "failed", BIGGEST),
        (9 * GIGABYTE, 64, "warning", "taskset -c 0 veille ingest"),
    ],
)
def test_memory_is_enough_or_not_for_so_many_processes(free, count, state, hint):
    found = machine.judged(int(free), "some", count)

    assert (found.state, found.hint) == (state, hint)
    assert found.found.startswith("some; Veille with ")


# --- a home without a library


@pytest.fixture
def scene(request):
    made = scenes.Scene(scenes.folder_for_all(), request)
    yield made
    made.end()


def doctor(scene, *arguments, **environment):
    """The lines by what they are about, and the exit code."""
    code, out, said = scene.run(["doctor", "--json", *arguments], **environment)
    assert said == ""
    found = json.loads(out)
    assert tuple(check["what"] for check in found) == LINES
    assert all(check["hint"] for check in found if check["state"] == "failed")
    return {check["what"]: (check["state"], check["found"], check["hint"]) for check in found}, code


@pytest.mark.slow
def test_no_library_is_made_to_look_at(scene):
    """Neither in the home nor in an empty database of a server."""
    found, code = doctor(scene)
    assert code == 0
    assert found["database"] == ("warning", "there is no library in home yet", "veille ingest")
    assert found["index"] == found["feeds"] == ("ok", "nothing to look at yet", "")
    assert not scene.home.exists()

    server = scene.request.getfixturevalue("server")
    name = databases.clone(server, "template0")
    try:
        found, code = doctor(scene, VEILLE_DATABASE_URL=server.url(name))
        assert (code, found["database"][1]) == (0, "there is no library on the server yet")
        scene.settings["VEILLE_DATABASE_URL"] = server.url(name)
        assert scene.execute("select from pg_tables where schemaname = 'public'").rowcount == 0
        found, code = doctor(scene, "--migrate")
        assert (code, found["database"][0]) == (0, "ok")
    finally:
        databases.drop(server, name)


@pytest.mark.slow
def test_a_database_that_cannot_be_asked_fails_alone(scene):
    """Its line names the cause; the lines that need it say so once, the others are looked at."""
    found, code = doctor(scene, VEILLE_DATABASE_URL="postgresql://127.0.0.1:1/x")

    assert code == 1
    assert found["database"][0] == "failed"
    assert "does not answer" in found["database"][1]
    assert found["index"][:2] == found["feeds"][:2] == ("warning", "not looked at without the database")
    assert found["configuration"][1].startswith("2 publishers, 1 feed, 3 topics; in ")


@pytest.mark.slow
def test_the_embedded_library_is_found(scene):
    """Where it lies, how large it is; the second time nothing has changed."""
    assert scene.run(["documents", "import", "articles.ndjson"])[0] == 0
    found, code = doctor(scene, VEILLE_CONTACT="a@b.fr")
    assert code == 0
    state, said, _ = found["database"]
    assert (state, said.partition(" 18")[0]) == ("ok", "embedded PostgreSQL")
    assert f"in {scene.home}/postgres, 0.0 GB, schema 0001" in said
    assert found["index"] == ("ok", "3 documents, as many as in the store", "")
    assert found["ports"] == ("ok", "PostgreSQL listens on none, only on a socket", "")
    assert {what: state for what, (state, _, _) in found.items() if state != "ok"} == {"feeds": "warning"}


# --- the machine


@pytest.mark.slow
def test_an_environment_that_others_changed_is_seen(scene):
    """A library that is too old, and one that is not there at all."""
    for name, text in (
        ("lxml-5.0", "Name: lxml\nVersion: 5.0"),
        (
            "veille-0.1.0",
            "Name: veille\nVersion: 0.1.0\nRequires-Dist: lxml>=6\nRequires-Dist: nowhere-to-be-found",
        ),
    ):
        folder = scene.folder / "site" / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\n{text}\n")
    scene.settings["PYTHONPATH"] = os.pathsep.join((str(scene.folder / "site"), python_path()))
    found, code = doctor(scene)

    assert code == 1
    assert found["Python"][0] == "failed"
    assert found["Python"][1].endswith("; lxml is 5.0, >=6 is needed, nowhere-to-be-found is missing")
    assert found["Python"][2] == installation.repair()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "state", "said", "hint"),
    [
        ("size=100m", "warning", "0.1 GB free for the home and the archive", "du -xh"),
        ("nr_inodes=500", "warning", "it takes only 49", "du -x --inodes"),
        ("ro", "failed", ", for the home, cannot be written", "set VEILLE_HOME to a folder of yours"),
    ],
)
def test_a_disk_is_full_or_read_only(scene, options, state, said, hint):
    scenes.Disk(scene, scene.home, options)
    found, _ = doctor(scene)

    assert found["disk"][0] == state, found["disk"]
    assert said in found["disk"][1]
    assert found["disk"][2].startswith(hint)


@pytest.mark.slow
def test_an_archive_elsewhere_is_on_a_disk_of_its_own(scene):
    scenes.Disk(scene, scene.folder / "elsewhere", "size=100m")
    found, _ = doctor(scene, VEILLE_ARCHIVE=str(scene.folder / "elsewhere"))

    assert found["disk"][0] == "warning"
    assert "GB free for the home, in " in found["disk"][1]
    assert f"0.1 GB free for the archive, in {scene.folder}/elsewhere" in found["disk"][1]


@pytest.mark.slow
def test_a_newsroom_s_port_is_free_ours_or_another_s(scene):
    """Nothing listens there, the newsroom does, or some other program does; or it is not known any more."""
    home = scene.home / "newsroom"
    with Newsroom(home) as newsroom:
        port = newsroom.port
        said = f"PostgreSQL listens on none, only on a socket; the port {port} of the newsroom in {home}"
        assert doctor(scene)[0]["ports"] == ("ok", f"{said} is being served", "")
    assert doctor(scene)[0]["ports"][1].endswith(f"the port {port} of the newsroom in {home} is free")
    with socket.create_server(("127.0.0.1", port)):
        state, said, hint = doctor(scene)[0]["ports"]
        assert (state, said.endswith(f"is another program's: fuser -v {port}/tcp shows which")) == (
            "warning",
            True,
        )
        assert re.fullmatch(rf"veille newsroom --home {home} --port 2\d{{4}}", hint)
    (home / "newsroom.json").write_text("{")
    assert doctor(scene)[0]["ports"][0] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "state", "said"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "warning", "output in iso8859-1, "),
        ({"LC_ALL": "C"}, "ok", "output in utf-8, LC_ALL=C, which Python takes for UTF-8"),
        ({"LC_ALL": "C.UTF-8"}, "ok", "output in utf-8, LC_ALL=C.UTF-8"),
    ],
)
def test_the_encoding_of_output_is_told(scene, locale, state, said):
    found, _ = doctor(scene, **locale)

    assert found["locale"][0] == state
    assert found["locale"][1].startswith(said)


@pytest.mark.slow
def test_it_fits_on_a_terminal_and_its_commands_can_be_copied(scene):
    """80 columns, whatever is found; a hint is one line, however long."""
    code, out, _ = scene.run(["doctor"], COLUMNS="80")
    assert code == 0
    lines = out.splitlines()
    assert [line[8:21].strip() for line in lines if line[:7].strip()] == list(LINES)
    assert max(len(line) for line in lines if "→" not in line) <= 80
    assert "        → export VEILLE_CONTACT=you@example.org" in lines


# --- the library


@pytest.mark.slow
def test_a_database_in_latin_1_is_refused(scene):
    """It lacks œ and the typographic apostrophe."""
    server = scene.request.getfixturevalue("server")
    databases.command(server, "create database latin encoding 'LATIN1' locale 'C' template template0")
    try:
        found, code = doctor(scene, "--migrate", VEILLE_DATABASE_URL=server.url("latin"))
    finally:
        databases.drop(server, "latin")

    assert code == 1
    assert "its encoding LATIN1 lacks letters" in found["database"][1]


@pytest.fixture
def press_read(open_runtime, first_edition):
    """A library of the sample newsroom's pages."""
    runtime = open_runtime()
    steps.ingest(
        runtime,
        runs.fresh("command", polls=True, reason="a test", now=runtime.now()),
        watch=lambda *_: contextlib.nullcontext(),
    )
    return runtime


@pytest.mark.slow
def test_the_last_page_of_the_archive_is_read(press_read, open_runtime, tmp_path):
    """Another folder than the one that was written, or a damaged file, is seen."""
    assert line(press_read, "archive")[1].endswith("; its last page can be read")
    assert line(press_read, "feeds") == ("ok", "4 in the catalogue, 0 failing, 0 late", "")

    state, said, hint = line(open_runtime(archive=tmp_path / "other"), "archive")
    assert state == "failed"
    assert said.startswith("0 files, ")
    assert "its last page is not there" in said
    assert "VEILLE_ARCHIVE" in hint

    press_read.archive.close()
    for path in press_read.settings.archive.rglob("*.warc.gz"):
        damaged = bytearray(path.read_bytes())
        damaged[-2000:] = bytes(2000)
        path.write_bytes(damaged)
    state, said, _ = line(press_read, "archive")
    assert (state, "its last page cannot be read" in said) == ("failed", True)


@pytest.mark.slow
def test_feeds_that_are_late_or_fail_are_named(press_read):
    query(press_read, "update feed set polled_at = polled_at - interval '2 days' where id = 1")
    assert line(press_read, "feeds") == ("warning", "4 in the catalogue, 0 failing, 1 late", "veille ingest")
    query(press_read, "update feed set failures = 3, error = 'HTTP 404' where id = 2")
    state, said, hint = line(press_read, "feeds")
    assert (state, hint) == ("warning", "veille status")
    assert said.endswith(" (HTTP 404)")
    query(press_read, "update feed set polled_at = polled_at - interval '2 days'")
    assert "none was asked within 26 hours" in line(press_read, "feeds")[1]


@pytest.mark.slow
def test_another_catalogue_than_the_library_s_is_seen(press_read, open_runtime, tmp_path):
    """Feeds that were asked this week and are in it no more; imported ones are nobody's."""
    assert "not in it any more" not in line(press_read, "configuration")[1]
    query(
        press_read, "insert into feed (url, publisher, host, polled_at) values ('http://a.b', '', 'a', now())"
    )
    assert "not in it any more" not in line(press_read, "configuration")[1]

    (tmp_path / "other").mkdir()
    other = opened(open_runtime, tmp_path / "other")
    state, said, _ = line(other, "configuration")
    assert state == "warning"
    assert "4 feeds asked this week, not in it any more: " in said
    query(press_read, "update feed set polled_at = polled_at - interval '8 days'")
    assert "not in it any more" not in line(other, "configuration")[1]


@pytest.mark.slow
def test_a_contact_is_missed(open_runtime):
    assert "export VEILLE_CONTACT" in line(open_runtime(), "configuration")[2]
    assert line(open_runtime(contact="a@b.fr"), "configuration")[0] == "ok"


@pytest.mark.slow
def test_a_clock_that_went_back_is_seen(open_runtime, tmp_path):
    """What a run of tomorrow left waits until then; in a newsroom its clock may not have been asked for."""
    runtime = opened(open_runtime, tmp_path)
    settle(runtime, read(f"{GAZETTE}/pont", prose("pont")))
    assert line(runtime, "clock")[0] == "ok"
    query(runtime, "update run set started_at = started_at + interval '1 day'")
    state, said, hint = line(runtime, "clock")
    assert (state, hint) == ("warning", "timedatectl set-ntp true")
    assert "the newest record is of " in said
    runtime.settings.home.mkdir(exist_ok=True)
    (runtime.settings.home / "newsroom.json").write_text("{}")
    settings = f"veille newsroom --home {runtime.settings.home} --settings"
    assert line(runtime, "clock")[2] == f'eval "$({settings})"'


@pytest.mark.slow
def test_a_clock_is_compared_with_the_database_s(open_runtime, tmp_path):
    """Seconds are nothing; a minute is named, in either direction."""
    runtime = opened(open_runtime, tmp_path)
    stored = library.look(runtime)

    def told(seconds):
        now = stored.health.now + timedelta(seconds=seconds)
        found = library.clock(runtime, replace(stored, health=replace(stored.health, now=now)))
        return found.state, found.found.rpartition("; ")[2]

    assert told(0)[0] == told(4)[0] == told(-4)[0] == "ok"
    assert told(61) == ("warning", "0:01:01 behind the database's")
    assert told(-61) == ("warning", "0:01:01 ahead of the database's")


@pytest.mark.slow
def test_a_shifted_clock_belongs_to_a_demonstration(open_runtime, tmp_path):
    runtime = open_runtime(clock_offset=-3600.0)
    state, said, hint = line(runtime, "clock")
    assert (state, hint) == ("warning", "unset VEILLE_CLOCK_OFFSET")
    assert "shifted back by 1:00:00, and this is no demonstration" in said
    runtime.settings.home.mkdir(exist_ok=True)
    (runtime.settings.home / "newsroom.json").write_text("{}")
    assert line(runtime, "clock")[0] == "ok"
