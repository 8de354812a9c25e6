"""`veille search`: what it refuses before it searches."""

import os
import subprocess

import pytest
from offspring import VEILLE
from readings import GAZETTE, opened, prose, read, settle

pytestmark = pytest.mark.slow


@pytest.fixture
def search(open_runtime, tmp_path, database_url):
    """Searches a library that holds an article in Breton, of a publisher that no catalogue names."""
    runtime = opened(open_runtime, tmp_path)
    settle(
        runtime,
        read(f"{GAZETTE}/pont", prose("pont")),
        read("https://import.invalid/bal", prose("bal")),
    )
    with runtime.store.transaction("breton") as tx:
        tx.execute("update revision set language = 'br' where title = 'Titre de bal'")
    from pipeline.stages import index

    index.rebuild(runtime)
    settings = {
        "VEILLE_HOME": str(tmp_path / "home"),
        "VEILLE_CONFIG": str(tmp_path / "config"),
        "VEILLE_DATABASE_URL": database_url,
    }

    def run(*arguments):
        done = subprocess.run(
            [*VEILLE, "search", "*", *arguments],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


def test_what_there_is_none_of_is_refused_with_those_there_are(search):
    """Each is named once, whether the catalogue knows it, the library, or both."""
    code, said = search("--publisher", "zzz")
    assert code == 1
    assert "there is no publisher 'zzz' → one of: gazette, courrier, depeche, import" in said
    code, said = search("--language", "xx")
    assert code == 1
    assert "there is no language 'xx' → one of: fr, br" in said


def test_the_nearest_is_named(search):
    assert "did you mean gazette?" in search("--publisher", "gazete")[1]
    assert "did you mean fr?" in search("--language", "fra")[1]


def test_what_there_is_can_be_asked_for(search):
    """From the catalogue or from an import, in capitals too, as the filters themselves take it."""
    for arguments, found in (
        ("--language fr", 1),
        ("--language BR", 1),
        ("--publisher import", 1),
        ("--publisher Gazette --publisher import", 2),
        ("--language fr --publisher import", 0),
    ):
        code, said = search(*arguments.split())
        assert code == 0, arguments
        assert said.startswith(f"{found} article"), arguments
