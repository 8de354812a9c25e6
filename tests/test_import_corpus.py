"""Real captures of real feeds become exactly the entries that they hold, however often they are taken."""

import html
import http.server
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from conftest import ROOT
from offspring import VEILLE

# A month is imported twice, capture by capture, which takes 145 CPU-s.
pytestmark = [pytest.mark.corpus, pytest.mark.slow, pytest.mark.timeout(900)]


def veille(*arguments, home, url):
    """Run the command as its users do; return what it wrote as JSON."""
    settings = {"VEILLE_HOME": str(home), "VEILLE_CONFIG": str(ROOT / "config"), "VEILLE_DATABASE_URL": url}
    said = subprocess.run(
        [*VEILLE, *arguments, "--json"],
        env=os.environ | settings,
        capture_output=True,
        check=True,
    )
    return json.loads(said.stdout)


def captures(folder, pattern):
    """The folders of captures with their times, in order: (time, files)."""
    found = []
    for path in sorted(folder.rglob("*")):
        when = re.search(pattern, str(path.relative_to(folder))) if path.is_dir() else None
        files = sorted(str(file) for file in path.glob("*") if file.is_file()) if when else []
        if files:
            found.append((when, files))
    return found


def unpack(corpus, name, folder):
    for archive in sorted(next(corpus.glob(f"{name}*")).glob("*.tar.xz")):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def take(found, at, home, url):
    """Import all captures; return the totals over them."""
    totals = [
        veille("feeds", "import", *files, "--at", at(when), home=home, url=url) for when, files in found
    ]
    return {
        key: sum(total[key] for total in totals) for key in ("files", "feeds", "items", "new", "without_link")
    }


def test_three_captures_of_one_day(corpus, tmp_path, database_url):
    """January 2024: 13 408 items are 4 913 entries, no feed is dropped, and a second pass adds none."""
    unpack(corpus, "11", tmp_path / "feeds")
    found = captures(tmp_path / "feeds", r"2024-01-26.(\d\d).(\d\d)$")

    def at(when):
        return f"2024-01-26T{when[1]}:{when[2]}"

    first = take(found, at, tmp_path / "home", database_url)
    again = take(found, at, tmp_path / "home", database_url)

    assert first == {"files": 540, "feeds": 540, "items": 13408, "new": 4913, "without_link": 0}
    assert again == first | {"new": 0}


def test_a_month_of_captures(corpus, tmp_path, database_url):
    """March 2022: 9 538 items are 2 829 entries, the broken file is read too, and a second pass adds none."""
    unpack(corpus, "10", tmp_path / "feeds")
    found = captures(tmp_path / "feeds", r"Mar/(\d\d)/(\d\d)-(\d\d)-(\d\d)$")

    def at(when):
        return f"2022-03-{when[1]}T{when[2]}:{when[3]}:{when[4]}"

    first = take(found, at, tmp_path / "home", database_url)
    again = take(found, at, tmp_path / "home", database_url)

    assert first == {"files": 480, "feeds": 480, "items": 9538, "new": 2829, "without_link": 0}
    assert again == first | {"new": 0}


@pytest.fixture
def file_server(tmp_path):
    """Serves a folder on loopback: (folder, base URL)."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "pattern", "entries"),
    [("11", r"2024-01-26.00.28$", 4017), ("10", r"Mar/01/", None)],
    ids=["January 2024", "March 2022"],
)
def test_a_capture_over_http(name, pattern, entries, corpus, tmp_path, file_server, open_runtime):
    """The same feeds, served on loopback and polled, give the same entries as from their files."""
    from pipeline import steps
    from pipeline.reading import feeds

    folder, port = file_server
    unpack(corpus, name, tmp_path / "feeds")
    _, files = captures(tmp_path / "feeds", pattern)[0]
    expected = set()
    urls = []
    for number, file in enumerate(files):
        body = Path(file).read_bytes()
        (folder / f"{number}.xml").write_bytes(body)
        urls.append(f"http://feeds.localhost:{port}/{number}.xml")
        expected |= {entry.canonical_url for entry in feeds.parse(body, url=urls[-1]).entries}
    listed = [{"url": url, "section": "a"} for url in urls]
    publisher = {
        "id": "served",
        "name": "Served",
        "family": "",
        "country": "FR",
        "domains": ["feeds.localhost"],
    }
    config = tmp_path / "config"
    config.mkdir()
    (config / "sources.yaml").write_text(json.dumps({"publishers": [publisher | {"feeds": listed}]}))
    runtime = open_runtime(config=config, allow_hosts=frozenset({("feeds.localhost", port)}))

    steps.begin(runtime, "served", "manual", (None, None))

    with runtime.store.transaction("look") as tx:
        rows = tx.execute("select canonical_url from entry").fetchall()
        polls = tx.execute("select result, count(*) as n from poll group by result").fetchall()
    assert {row["canonical_url"] for row in rows} == expected
    assert entries is None or len(rows) == entries
    assert polls == [{"result": "changed", "n": len(urls)}]


def test_the_seed_article_is_read_tagged_and_found(corpus, tmp_path, file_server, open_runtime):
    """With a page around it, it comes out French, about the guarantees, and is found by its words."""
    from line import run_line

    from pipeline.search import Filters

    folder, port = file_server
    title, *paragraphs = next(corpus.glob("00*/*_*.txt")).read_text().strip().splitlines()
    text = "".join(f"<p>{html.escape(line)}</p>" for line in paragraphs if line.strip())
    head = f"<html lang=fr><head><title>{html.escape(title)}</title></head><body><nav>Accueil</nav>"
    page = (
        f"{head}<article><h1>{html.escape(title)}</h1>{text}</article><footer>Mentions</footer></body></html>"
    )
    (folder / "article.html").write_text(page)
    base = f"http://journal.localhost:{port}"
    item = f"<item><title>{html.escape(title)}</title><link>{base}/article.html</link></item>"
    (folder / "feed.xml").write_text(f"<rss version='2.0'><channel><title>x</title>{item}</channel></rss>")
    config = tmp_path / "config"
    shutil.copytree(Path(__file__).parent.parent / "config" / "topics", config / "topics")
    publisher = {
        "id": "journal",
        "name": "Journal",
        "family": "",
        "country": "FR",
        "domains": ["journal.localhost"],
    }
    feeds = [{"url": f"{base}/feed.xml", "section": "une"}]
    (config / "sources.yaml").write_text(json.dumps({"publishers": [publisher | {"feeds": feeds}]}))
    runtime = open_runtime(config=config, allow_hosts=frozenset({("journal.localhost", port)}))

    run_line(runtime)

    topic = Filters(topics=("ukraine-garanties-securite",), languages=("fr",))
    for query in ("garanties de sécurité", "garantie de sécurité pour l'Ukraine", "l’Ukraine"):
        found = runtime.index.search(query, filters=topic)
        assert [result.url for result in found.results] == [f"{base}/article.html"], query
        assert found.results[0].highlights
