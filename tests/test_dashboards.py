"""The dashboards on a real Elasticsearch: what Kibana would ask, against what the store says.

The expectations are counted in the articles of the store, by the files that people write; the requests are
made from the file that Kibana imports.
"""

import collections
import itertools
import json
import random
import uuid
from datetime import UTC, datetime, timedelta

import databases
import pytest
import yaml
from kibana_requests import MISSING, OTHER, Period, charts, search
from line import run_line

from pipeline import steps
from pipeline.kibana import importing, source
from pipeline.reading.dates import paris_day
from pipeline.runtime import Runtime
from pipeline.settings import Settings
from pipeline.stages import documents, index
from pipeline.store import articles
from pipeline.store.runs import Run
from pipeline.web.addresses import parse_allowed

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

SOURCE = source.load(importing.FILE.parent)
CHARTS = [
    (dashboard, panel) for dashboard in SOURCE.dashboards for panel in dashboard.panels if not panel.search
]
SEARCHES = [
    (dashboard, panel) for dashboard in SOURCE.dashboards for panel in dashboard.panels if panel.search
]
PUBLISHERS = 24  # more than a ranking shows
GUARANTEES = (
    "Les alliés de l'Ukraine discutent des garanties de sécurité que l'Europe pourrait offrir à Kiev."
    " La coalition des volontaires veut une force de réassurance, et M. Zelensky des engagements écrits."
)
CLIMATE = (
    "Le réchauffement climatique bouscule les vendanges : les vignerons parlent d'adaptation au climat."
    " Les émissions de gaz à effet de serre continuent d'augmenter, selon le GIEC."
)


LONG = 1_050_000  # characters: more than a server marks by default
RARE = "anticonstitutionnellement"  # its last word
VOCABULARY = """
    le la les un une des du de et ou mais donc pour dans avec sans sous depuis pendant maire école pont
    rivière marché fanfare musée jardin ouvert fermé nouveau ancien grand petit annonce prépare inaugure
    répare termine commence samedi dimanche printemps hiver habitants élèves artisans pêcheurs bénévoles
"""


def day(stamp):
    return paris_day(stamp).isoformat()


def words(seed, count=90):
    """A text like no other."""
    return " ".join(random.Random(seed).choices(VOCABULARY.split(), k=count))


def written(now):
    """Articles by many publishers over forty days, some in the future, some copied word for word."""
    for number in range(160):
        publisher = number % PUBLISHERS if number % 3 else 0
        about = {0: GUARANTEES, 1: CLIMATE, 2: f"{GUARANTEES} {CLIMATE}"}.get(number % 7, "")
        text = f"{words(number)} {about}"
        if number % 10 == 9:
            text = f"{words(number - 1)} {words(number + 1000, 12)}"
        published = now - timedelta(hours=number * 6)
        if number % 40 == 3:
            published = now + timedelta(days=30)
        yield {
            "url": f"https://titre{publisher}.example/article-{number}",
            "title": f"Article {number}",
            "text": text,
            "published": published.isoformat(),
            "publisher": f"titre{publisher}",
        }


def long_one(now):
    """A debate of parliament, say: one page, and as long as a book."""
    text = words(-1, LONG // 6)[:LONG]
    return {
        "url": "https://titre0.example/seance",
        "title": "La séance",
        "text": f"{text} {RARE}",
        "published": (now - timedelta(hours=1)).isoformat(),
        "publisher": "titre0",
    }


@pytest.fixture(scope="module")
def catalogue(press, tmp_path_factory):
    """The newsroom's publishers and two dozen more, every third without a family."""
    folder = tmp_path_factory.mktemp("catalogue")
    more = [
        {
            "id": f"titre{number}",
            "name": f"Titre n° {number}",
            "country": "FR",
            "domains": [f"titre{number}.example"],
            "feeds": [],
        }
        | ({"family": f"Groupe {number % 17}"} if number % 3 else {})
        for number in range(PUBLISHERS)
    ]
    known = press.sources()["publishers"]
    (folder / "sources.yaml").write_text(yaml.safe_dump({"publishers": [*known, *more]}, allow_unicode=True))
    (folder / "topics").symlink_to(press.config / "topics")
    return folder


@pytest.fixture(scope="module")
def library(press, catalogue, workers, server, template, elasticsearch_server, tmp_path_factory):
    """A store with all of them, and its index on the server."""
    press.publish_edition(1)
    home, name = tmp_path_factory.mktemp("library"), databases.clone(server, template)
    address = elasticsearch_server
    settings = Settings(
        home=home,
        config=catalogue,
        archive=home / "archive",
        database_url=server.url(name),
        allow_hosts=parse_allowed(",".join(press.hosts)),
        host_gap_seconds=0.0,
        index_url=address.url,
        index_user=address.user,
        index_password=address.password,
        index_name=f"veille-{uuid.uuid4().hex[:12]}",
    )
    with Runtime(settings) as runtime:
        runtime.workers = workers
        runtime.index.setup()
        _fill(runtime)
        yield runtime
        client = runtime.index._connection.ask
        for index_ in client.indices.get(index=f"{settings.index_name}-*", expand_wildcards="all").body:
            client.indices.delete(index=index_)
        client.indices.delete_index_template(name=settings.index_name)
    databases.drop(server, name)


def _fill(runtime):
    run_line(runtime)
    run = Run("import", "command", polls=False, reason="a test")
    steps.start(runtime, run)
    now = runtime.now()
    lines = [json.dumps(one).encode() for one in (*written(now), long_one(now))]
    documents.take(runtime, run.id, [documents.parse(line) for line in lines])
    for stage in ("deduplicate", "tag", "index"):
        getattr(steps, stage)(runtime, run.id)
    assert not any(index.differences(runtime).values())
    runtime.index.refresh()


@pytest.fixture
def stored(library):
    """Every article of the store, as the index ought to have it."""
    with library.store.transaction("look") as tx:
        found, _ = articles.documents(tx, articles.all_ids(tx, after=0, limit=10_000), library.catalogue)
    return found


def asked(library, body):
    return library.index._connection.ask.search(index=library.settings.index_name, **body).body


def stamp(document):
    return document.published or document.first_seen


def within(documents_, dashboard, now):
    """What a dashboard shows when it is opened: articles of its time and its query."""
    days = int(dashboard.since.removeprefix("now-").removesuffix("d"))
    since = now - timedelta(days=days)
    matches = QUERIES[dashboard.query]
    return [one for one in documents_ if since <= stamp(one) <= now and matches(one)], since


QUERIES = {
    "": lambda _: True,
    "all": lambda _: True,
    "copy_of : *": lambda one: bool(one.copy_of),
    "not copy_of : *": lambda one: not one.copy_of,
    "date_suspect : true": lambda one: one.date_suspect,
    'topics.id : "ukraine-garanties-securite"': lambda one: "ukraine-garanties-securite" in one.topics,
}
FIELDS = {
    "topics.id": lambda one: one.topics,
    "publisher.name": lambda one: (one.publisher_name,),
    "publisher.family": lambda one: (one.family,) if one.family else (),
    "completeness": lambda one: (one.completeness,) if one.completeness else (),
}


def cut(documents_, top):
    """The documents of each bar, as a person would sort them: the most frequent, then the others."""
    by_value = collections.defaultdict(list)
    for one in documents_:
        for value in FIELDS[top.field](one) or ((MISSING,) if top.missing else ()):
            if value not in top.exclude:
                by_value[value].append(one)
    ranked = sorted(by_value, key=lambda value: (-len(by_value[value]), value))
    first = {value: by_value[value] for value in ranked[: top.size]}
    if top.others and len(ranked) > top.size:
        rest = [
            one
            for one in documents_
            if not set(FIELDS[top.field](one)) & set(first)
            and (FIELDS[top.field](one) or (top.missing and MISSING not in first))
        ]
        first[OTHER] = rest
    return first


def expected(panel, documents_):
    """The figures that the panel must show."""
    if panel.number:
        if panel.number.unique:
            return {(): len({FIELDS[panel.number.unique](one) for one in documents_})}
        return {(): sum(map(QUERIES[panel.number.count], documents_))}
    if panel.ranking:
        return {(value,): len(found) for value, found in cut(documents_, panel.ranking).items()}
    per_day = panel.per_day
    parts = (
        cut(documents_, per_day.top)
        if per_day.top
        else {part.label: list(filter(QUERIES[part.query], documents_)) for part in per_day.filters}
    )
    return {
        (name, when): count
        for name, found in parts.items()
        for when, count in collections.Counter(day(stamp(one)) for one in found).items()
    }


def test_every_panel_shows_what_the_store_says(library, stored):
    """Each aggregation, as Kibana would send it, is answered, and its figures are the store's."""
    saved = [json.loads(line) for line in importing.FILE.read_text().splitlines()]
    now = datetime.now(UTC)
    seen = []
    for dashboard, panel in CHARTS:
        shown, since = within(stored, dashboard, now)
        period = Period(since.isoformat(timespec="milliseconds"), now.isoformat(timespec="milliseconds"))
        [chart] = [
            chart
            for above, title, chart in charts(saved, period)
            if (above, title) == (dashboard.title, panel.title)
        ]
        answer = asked(library, chart.request())
        second = chart.other_request(answer)
        rows = chart.rows(answer, asked(library, second) if second else None)

        assert {key: count for key, count in rows.items() if count} == {
            key: count for key, count in expected(panel, shown).items() if count
        }, panel.title
        seen.append((panel.title, sum(rows.values()), bool(second)))
    assert all(total for title, total, _ in seen), seen
    assert any(second for *_, second in seen), "no ranking had others"


def test_a_graph_has_every_day(library, stored):
    """Days without an article are drawn too, in Paris, from the first of the period to the last."""
    saved = [json.loads(line) for line in importing.FILE.read_text().splitlines()]
    now = datetime.now(UTC)
    since = now - timedelta(days=40)
    period = Period(since.isoformat(timespec="milliseconds"), now.isoformat(timespec="milliseconds"))
    [chart] = [chart for _, title, chart in charts(saved, period) if title == "Articles par jour"]
    rows = chart.rows(asked(library, chart.request()), None)
    days = {when for _, when in rows}

    assert days == {day(since + timedelta(days=number)) for number in range(41)}


def test_the_tables_list_the_newest_first(library, stored):
    """The saved searches of both dashboards find the articles of the period, newest first."""
    saved = {one["id"]: one for one in map(json.loads, importing.FILE.read_text().splitlines())}
    now = datetime.now(UTC)
    for dashboard, panel in SEARCHES:
        shown, since = within(stored, dashboard, now)
        period = Period(since.isoformat(timespec="milliseconds"), now.isoformat(timespec="milliseconds"))
        answer = asked(library, search(saved[panel.search], period, dashboard.query))
        hits = answer["hits"]["hits"]
        moments = [hit["sort"][0] for hit in hits]

        assert {hit["_id"] for hit in hits} == {one.id for one in shown}, panel.title
        assert moments == sorted(moments, reverse=True)
        columns = saved[panel.search]["attributes"]["columns"]
        shown_fields = set(itertools.chain.from_iterable(hit["fields"] for hit in hits))
        assert set(columns) <= shown_fields, panel.title


def test_a_word_is_found_and_marked_in_the_longest_article(library):
    """One that a server may not mark by default fails every search in Kibana that finds it."""
    saved = {one["id"]: one for one in map(json.loads, importing.FILE.read_text().splitlines())}
    now = datetime.now(UTC)
    period = Period((now - timedelta(days=7)).isoformat(), now.isoformat())
    answer = asked(library, search(saved["veille-derniers-articles"], period, RARE))
    [hit] = answer["hits"]["hits"]

    assert answer["_shards"]["failed"] == 0
    assert len(hit["fields"]["text"][0]) > LONG
    assert f"@kibana-highlighted-field@{RARE}@/" in hit["highlight"]["text"][0]
