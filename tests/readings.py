"""Readings of invented articles of three publishers, handed to the stages without feed or page."""

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import steps, urls
from pipeline.model import Article, Completeness, Stage
from pipeline.stages import deduplicate, documents, tag
from pipeline.stages.documents import Finished
from pipeline.store import entries, leases
from pipeline.store.runs import Run

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
GAZETTE, COURRIER, DEPECHE = (f"https://{name}.invalid" for name in ("gazette", "courrier", "depeche"))
UKRAINE = (
    "L'Ukraine demande des garanties de sécurité à ses alliés.\n"
    "Les garanties de sécurité pour l'Ukraine seront discutées à Kiev."
)


def prose(seed, words=200):
    """Sentences of invented words, the same for the same seed."""
    rng = random.Random(seed)
    syllables = ["ba", "cal", "chan", "dou", "fer", "gri", "jo", "lan", "men", "nol", "per", "qui", "ron"]
    made = ("".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(words))
    return " ".join(word + ("." if number % 15 == 14 else "") for number, word in enumerate(made))


def part(text, words, start=0):
    return " ".join(text.split(" ")[start : start + words])


def read(url, text, *, title="", lead="", day=1, hour=0, language="fr", page=""):
    """One reading of the page at `url`, which calls itself `page`."""
    article = Article(
        url=page or url,
        title=title or f"Titre de {url.rpartition('/')[2]}",
        lead=lead,
        text=text,
        language=language,
        completeness=Completeness.FULL,
        published=START + timedelta(days=day, hours=hour),
        date_source="json-ld",
    )
    host = urls.host_of(url)
    return Finished(urls.canonical(url), url, host.partition(".")[0], article)


def publishers(folder):
    """Write the catalogue of the three; one numbers its articles."""
    shutil.copytree(Path(__file__).parent.parent / "config" / "topics", folder / "topics")
    listed = [
        {"id": name, "name": name, "family": "", "country": "FR", "domains": [f"{name}.invalid"]}
        for name in ("gazette", "courrier", "depeche")
    ]
    listed[0]["article_id"] = r"-(\d{6})$"
    (folder / "sources.yaml").write_text(json.dumps({"publishers": listed}))
    return folder


def opened(open_runtime, folder):
    """A library with the catalogue of the three, and a run to which its work belongs."""
    (folder / "config").mkdir()
    runtime = open_runtime(config=publishers(folder / "config"))
    begin(runtime)
    return runtime


def rows(runtime, query):
    with runtime.store.transaction("look") as tx:
        return tx.execute(query).fetchall()


def begin(runtime):
    """The run to which all this work belongs."""
    steps.start(runtime, Run("readings", "command", polls=False, reason="a test"))


def take(runtime, *readings):
    """These pages were read, each as a reading of its own."""
    for reading in readings:
        documents.take(runtime, "readings", [reading])


def work(runtime, stage, rng=None):
    """Do some of the stage's work, a random part in a random order; without `rng`, all."""
    with runtime.store.transaction("claim") as tx:
        token = leases.new_token(tx)
        rows = entries.claim(tx, stage, token=token, lease=0, now=runtime.now(), limit=1000)
    if rng:
        rows = rng.sample(rows, rng.randint(0, len(rows)))
    (deduplicate if stage is Stage.DEDUPLICATE else tag).work(runtime, "readings", token, rows)


def settle(runtime, *readings):
    """These pages were read, and all work that follows was done."""
    take(runtime, *readings)
    for stage in (Stage.DEDUPLICATE, Stage.TAG):
        work(runtime, stage)
    steps.index(runtime, "readings")
