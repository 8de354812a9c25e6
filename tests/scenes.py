"""Scenes for sabotage: a folder with good files, the settings of a library to come, small disks.

Breaks nothing: `faults` does.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from accounts import IS_ROOT, python_of, python_path
from conftest import ROOT
from offspring import VEILLE
from waiting import eventually

from pipeline.store.embedded.supervisor import IDLE_VARIABLE

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Une</title>
<item><title>Un pont</title><link>https://gazette.invalid/pont</link></item></channel></rss>"""
PAGE = "<html lang=fr><title>Un pont</title><article><h1>Un pont</h1><p>Le pont est ouvert.</p></article>"
SOURCES = """publishers:
  - id: gazette
    name: La Gazette
    family: Presse libre
    country: FR
    domains: [gazette.invalid]
    feeds:
      - url: https://gazette.invalid/rss
  - id: courrier
    name: Le Courrier
    country: FR
    domains: [courrier.invalid]
"""
ARTICLES = 3


def article(number):
    """One finished text, unlike the others."""
    text = " ".join(f"Le conseil a voté la mesure {number * 100 + n} du budget." for n in range(30))
    return {"url": f"https://gazette.invalid/{number}", "title": f"Budget {number}", "text": text}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


class Scene:
    """A folder with good files, a home to come, and the settings of both. Commands are typed in the folder.

    All accounts can enter the folder. `stack` has what lasts as long as the scene.
    """

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self.folder, self.request = folder, request
        self.home, self.config = folder / "home", folder / "config"
        self.config.mkdir()
        (self.config / "sources.yaml").write_text(SOURCES)
        shutil.copytree(ROOT / "config" / "topics", self.config / "topics")
        for name, text in (
            ("feed.xml", FEED),
            ("page.html", PAGE),
            ("articles.ndjson", lines(*map(article, range(ARTICLES)))),
            ("text.txt", "Un pont\nLe pont est ouvert depuis hier."),
            ("latin.txt", ""),
            ("empty", ""),
        ):
            (folder / name).write_text(text)
        (folder / "latin.txt").write_bytes("Une soirée à l'Élysée".encode("latin-1"))
        (folder / "junk").write_bytes(bytes(range(256)) * 8)
        (folder / "folder").mkdir()
        self.settings = {
            "VEILLE_HOME": str(self.home),
            "VEILLE_CONFIG": str(self.config),
            IDLE_VARIABLE: "0",
        }
        self.before: tuple[str, ...] = ()  # a command that runs the next one somewhere else
        self.account = None  # None: our own
        self.stack = contextlib.ExitStack()

    @property
    def program(self):
        """`veille`, as this scene's account can start it."""
        if self.account is None:
            return [*self.before, *VEILLE]
        return [*self.before, python_of(self.account), "-m", "pipeline.cli"]

    def started(self, arguments, **how):
        """The command, started."""
        user = self.account
        return subprocess.Popen(
            [*self.program, *arguments],
            env=os.environ | {"PYTHONPATH": python_path()} | self.settings | how.pop("environment", {}),
            cwd=self.folder,
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=[] if user else None,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how,
        )

    def run(self, arguments, redirection="", **environment):
        """Its exit code, and what it said on standard output and error."""
        shell = ("/bin/sh", "-c", f'exec "$@" {redirection}', "sh") if redirection else ()
        before, self.before = self.before, (*self.before, *shell)
        try:
            process = self.started(arguments, environment=environment)
            out, err = process.communicate(timeout=200)
        finally:
            self.before = before
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def on_a_server(self, options=""):
        """Keep the library in a database of this test's own on a running server."""
        url = self.request.getfixturevalue("database_url")
        self.settings["VEILLE_DATABASE_URL"] = url + options

    @property
    def database(self):
        """The name of that database, and the server that has it."""
        url = self.settings["VEILLE_DATABASE_URL"]
        return url.partition("?")[0].rpartition("/")[2], self.request.getfixturevalue("server")

    def execute(self, statement):
        """As the database's owner."""
        import psycopg

        name, server = self.database
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            return connection.execute(statement)

    def read_the_press(self):
        """Watch publishers of the sample newsroom instead of those that nobody serves."""
        press = self.request.getfixturevalue("first_edition")
        self.settings |= {
            "VEILLE_CONFIG": str(press.config),
            "VEILLE_ALLOW_HOSTS": ",".join(press.hosts),
            "VEILLE_HOST_GAP_SECONDS": "0",
            "VEILLE_LEASE_SECONDS": "5",
        }
        return press

    def end(self):
        """Delete all, once the embedded server has ended."""
        self.stack.close()
        if (self.home / "postgres" / "place.json").exists():
            from pipeline.store.embedded import Embedded

            Embedded(self.home / "postgres").remove()
        assert eventually(lambda: shutil.rmtree(self.folder, ignore_errors=True) or not self.folder.exists())


class Disk:
    """A small disk on which a folder of the scene lies, seen by the scene's commands alone."""

    def __init__(self, scene, folder, options):
        if not IS_ROOT:
            pytest.skip("only root can mount a small disk")
        self.path = folder
        folder.mkdir(parents=True, exist_ok=True)
        mount = f'mount -t tmpfs -o mode=755,{options} none "$0" && echo mounted && exec sleep 600'
        holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", mount, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        scene.stack.callback(holder.communicate)
        scene.stack.callback(holder.kill)
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip(f"no disk can be mounted here: {holder.stderr.read().decode()}")
        # Entering the namespace moves to its root.
        back = ("sh", "-c", 'cd "$0" && exec "$@"', str(scene.folder))
        scene.before = ("nsenter", "--mount", "--target", str(holder.pid), *back)
        self.outside = Path(f"/proc/{holder.pid}/root{folder}")
        self._scene = scene

    def fill(self, spare=0):
        """Take all its space but `spare` bytes."""
        with (self.outside / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        size = (self.outside / "fill").stat().st_size
        os.truncate(self.outside / "fill", max(0, size - spare))

    def remount(self, options):
        subprocess.run([*self._scene.before, "mount", "-o", f"remount,{options}", self.path], check=True)


def folder_for_all():
    """A folder in which every account may look."""
    folder = Path(tempfile.mkdtemp(prefix="veille-test-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    return folder
