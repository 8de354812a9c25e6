"""The command line: results for people and programs, and one clear message for every failure."""

import json
import os
import subprocess

import pytest
from offspring import VEILLE

pytestmark = pytest.mark.slow


@pytest.fixture
def veille(tmp_path, press, database_url):
    """Runs a command on this test's own home and database."""

    def run(*arguments, stdin=b"", **environment):
        settings = {
            "VEILLE_HOME": str(tmp_path / "home"),
            "VEILLE_CONFIG": str(press.config),
            "VEILLE_DATABASE_URL": database_url,
            "VEILLE_ALLOW_HOSTS": ",".join(press.hosts),
            "VEILLE_HOST_GAP_SECONDS": "0",
        }
        return subprocess.run(
            [*VEILLE, *arguments],
            env=os.environ | settings | environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )

    return run


def answer(done):
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def answers(done):
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_canonical_reads_many(veille):
    """One line in, one line out, in order; a line that fails says why and does not stop the others."""
    done = veille(
        "canonical",
        "--ndjson",
        stdin=lines({"url": "http://www.exemple.fr/a?utm_source=x"}, {"url": "mailto:a@b"}, {})
        + b"no json\n",
    )
    good, bad, empty, broken = answers(done)

    assert good == {"url": "https://exemple.fr/a", "keys": ["url:https://exemple.fr/a"]}
    assert "error" in bad
    assert "url" in empty["error"]
    assert "not JSON" in broken["error"]


def test_compare_tells_copies(veille):
    """A text and the same text with a head of its own are a copy; other texts are none."""
    text = " ".join(f"mot{number} avec phrase{number % 7}" for number in range(120))
    head = " ".join(f"tête{number} propre" for number in range(60))
    pairs = lines(
        {"a": {"title": "Un", "text": text}, "b": {"title": "Deux", "text": f"{head} {text}"}},
        {"a": {"title": "Un", "text": text}, "b": {"title": "Deux", "text": head}},
    )
    copy, none = answers(veille("compare", "--ndjson", stdin=pairs))

    assert copy["relation"] == "copy"
    assert copy["containment_ab"] > 0.95
    assert none["relation"] == "none"


def test_language_reads_many(veille):
    done = veille(
        "language", "--ndjson", stdin=lines({"text": "Le conseil municipal a voté son budget hier soir."})
    )
    assert answers(done)[0]["language"] == "fr"


def test_extract_reads_many_in_order(veille, tmp_path):
    """Pages come back in the order of the questions; a bad line has its error."""
    page = (
        "<html lang=fr><title>{0}</title><article><h1>{0}</h1>" + "<p>Le conseil a voté le budget.</p>" * 30
    )
    (tmp_path / "page.html").write_text(page.format("Du fichier"))
    records = [{"url": f"https://exemple.fr/{n}", "html": page.format(f"Titre {n}")} for n in range(6)]
    records += [
        {"url": "https://exemple.fr/f", "path": str(tmp_path / "page.html")},
        {"url": "https://exemple.fr/x"},
    ]
    *good, bad = answers(veille("extract", "--ndjson", stdin=lines(*records)))

    assert [article["title"] for article in good] == [*(f"Titre {n}" for n in range(6)), "Du fichier"]
    assert {article["language"] for article in good} == {"fr"}
    assert "path" in bad["error"]


def test_a_run_and_what_can_be_asked_of_it(veille, first_edition):
    """Ingest, search, show, runs, status, doctor: each answers programs in JSON."""
    report = answer(veille("ingest", "--json"))
    assert report["adds_up"]
    assert report["discovered"] == 32
    found = answer(veille("search", "garanties de sécurité", "--facets", "--json"))
    assert found["total"] >= 3
    shown = answer(veille("show", found["results"][0]["id"], "--json"))
    assert shown["article"]["title"]
    tagged = answer(veille("search", "*", "--topic", "ukraine-garanties-securite", "--json"))
    assert answer(veille("show", tagged["results"][0]["id"], "--json"))["tags"][0]["hits"]
    assert answer(veille("show", shown["url"], "--json"))["id"] == shown["id"]
    [run] = answer(veille("runs", "--json"))
    assert run["discovered"] == 32
    assert (
        answer(veille("runs", "show", str(run["number"]), "--json"))["run"]
        == answer(veille("runs", "show", run["id"], "--json"))["run"]
    )
    assert answer(veille("runs", "show", "--json"))["discovered"] == 32
    status = answer(veille("status", "--json"))
    assert status["outbox"] == 0
    assert all(check["state"] != "failed" for check in answer(veille("doctor", "--json")))
    assert answer(veille("index", "check", "--json")) == {
        "refused": [],
        "waiting": [],
        "missing": [],
        "left over": [],
        "another version": [],
        "doubled": [],
        "oldest_waiting": 0.0,
        "reasons": {},
        "broken_off_rebuild": False,
    }
    assert answer(veille("index", "rebuild", "--json"))["documents"] == status["articles"]
    assert answer(veille("retry", "--run", "last", "--json")) == {"entries": 2}
    again = answer(veille("runs", "show", "--json"))
    assert (again["adds_up"], again["waiting"]) == (True, 2)
    for command in (
        ["search", "Ukraine"],
        ["show", "1"],
        ["runs"],
        ["runs", "show"],
        ["status"],
        ["doctor"],
        ["topics"],
        ["sources"],
    ):
        told = veille(*command)
        assert told.returncode == 0, told.stderr.decode()
        assert told.stdout.strip()


def test_the_figures_are_written_for_prometheus(veille, tmp_path):
    """The text file is in Prometheus's format."""
    done = veille("status", "--prometheus", str(tmp_path / "veille.prom"))
    assert done.returncode == 0, done.stderr.decode()
    text = (tmp_path / "veille.prom").read_text()

    assert "# TYPE veille_outbox_documents gauge\nveille_outbox_documents 0\n" in text


def test_finished_texts_are_compared_tagged_and_indexed(veille, tmp_path):
    """Imported documents enter at comparison; the second time nothing is added; a bad line is named."""
    text = " ".join(f"Le conseil municipal a voté l'article {n} du budget de la ville." for n in range(60))
    articles = [
        {
            "url": f"https://exemple.fr/{n}",
            "title": f"Budget {n}",
            "text": f"{text} {n}",
            "published": "2026-03-01",
            "publisher": p,
        }
        for n, p in enumerate(("un", "deux"))
    ]
    file = tmp_path / "articles.ndjson"
    file.write_bytes(lines(*articles))
    report = answer(veille("documents", "import", str(file), "--json"))
    assert report["outcomes"] == {"new": 2}
    assert answer(veille("documents", "import", str(file), "--json"))["discovered"] == 0
    assert answer(veille("search", "budget", "--json"))["total"] == 2
    assert answer(veille("search", "--json", "--", "-sport", "budget"))["total"] == 2, "words need no quotes"
    assert any(result["copy_of"] for result in answer(veille("search", "budget", "--json"))["results"])
    file.write_bytes(lines({"url": "https://exemple.fr/x"}))
    refused = veille("documents", "import", str(file))
    assert refused.returncode == 1
    assert b"line 1: url and text are needed; empty: text" in refused.stderr
    assert answer(veille("search", "budget", "--publisher", "un", "--json"))["total"] == 1


def test_a_run_without_any_feed_has_failed(veille):
    """Whoever starts it from cron hears of it: no feed answered with what it holds."""
    done = veille("ingest", "--json", VEILLE_ALLOW_HOSTS="")

    assert done.returncode == 1
    assert set(json.loads(done.stdout)["polls"]) <= {"no_feed", "failed", "waiting"}


def test_saved_feeds_that_are_none_are_named(veille, tmp_path):
    """Good ones are taken; a missing file is no bad feed; relative links need to know where they start."""
    item = "<item><title>Un</title><link>/a.html</link></item>"
    (tmp_path / "feed.xml").write_text(
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>Une</title>{item}</channel></rss>'
    )
    (tmp_path / "none.xml").write_text("Bonjour")
    files = [str(tmp_path / name) for name in ("feed.xml", "none.xml", "missing.xml")]
    done = veille("feeds", "import", *files)
    told, said = done.stdout.decode(), done.stderr.decode()

    assert done.returncode == 1
    assert told.startswith("1 feed, 0 items, 0 new entries")
    assert f"no feed: {files[1]}" in said
    assert f"\n  {files[2]} cannot be read: No such file" in said
    assert f"{files[0]}: 1 item without a usable link\n  → give --url" in told
    assert b"importing feeds" in done.stderr
    assert veille("feeds", "import", files[0], "--url", "https://exemple.fr/rss").returncode == 0
