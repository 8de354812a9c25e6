"""The benchmarks run from end to end on very little, and report every line; what they measure is no test.

How figures are made of what was measured is one: by rounds whose outcome is known.
"""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import findings, prose, searching
from benchmarks.children import Failed
from benchmarks.growth import Growth, Turn
from benchmarks.line import Passage
from benchmarks.meter import measured
from benchmarks.polling import KINDS, Polls
from benchmarks.pool import Pool
from benchmarks.report import LOAD, Line, Report
from benchmarks.rounds import OURS, THEIRS, Round, Rounds
from benchmarks.searching import Latency, Query
from benchmarks.writing import Turn as Writing
from pipeline.topics import rulebook
from pipeline.topics.tagger import Tagger

ROOT = Path(__file__).parent.parent
TINY = {"pages": 6, "rounds": 1, "polls": 1, "few": 60, "many": 120, "newcomers": 12, "queries": 2}
PEERS = {"line_to_newspaper4k", "line_to_news-please"}
SERVER = {"writer_to_helper", "indexing_to_line"}
PASSAGE = Passage(
    cpu=0.4, wall=0.5, pages=10, articles=8, store=80_000, archive=50_000, index=16_000, steps={}
)


def keyed(lines):
    return {line.key: line for line in lines}


def a_round(ours, theirs, cpu, rates):
    """A round on ten pages."""
    return Round(
        seconds={OURS: ours, THEIRS: theirs, "newspaper4k": 3 * theirs},
        failed={OURS: 0, THEIRS: 0, "newspaper4k": 2},
        pools={number: Pool(rate, number * 100_000_000) for number, rate in enumerate(rates, start=1)},
        passages={
            1: replace(PASSAGE, cpu=cpu),
            2: replace(PASSAGE, cpu=9.0, wall=0.25),  # its CPU seconds count for nothing
        },
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tiny_run_has_every_line(tmp_path):
    """All lines are there, in numbers; those that cannot be measured say why, and nothing is left behind."""
    tiny = [argument for name, size in TINY.items() for argument in (f"--{name}", str(size))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", "--no-peers", "--folder", str(tmp_path), *tiny],
        cwd=ROOT,
        # No corpus there: the newsroom's pages.
        env=os.environ | {"VEILLE_CORPUS": str(tmp_path), "VEILLE_INDEX_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = {line["key"]: line for line in json.loads(done.stdout)["lines"]}
    absent = {key for key, line in lines.items() if line["value"] is None}
    assert absent == PEERS | SERVER | {"f1_to_trafilatura"}
    assert all(lines[key]["note"] for key in absent)
    assert all(math.isfinite(line["value"]) for key, line in lines.items() if key not in absent)
    assert lines.keys() >= {
        "line_to_extraction", "extraction_to_trafilatura", "extraction_two_to_one", "line_two_to_one",
        "poll_without_store_feed", "poll_with_store_feed", "poll_without_store_same", "poll_with_store_same",
        "growth", "candidates", "worker_memory", "disk_store", "disk_index", "disk_archive",
        "search_a_frequent_word",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_part_that_fails_loses_no_other(tmp_path):
    """What was measured is in the file; what was not is named, with its cause and the next command."""
    plan = program.Plan(parts=["polls"], peers=False, folder=tmp_path, json=True, **TINY)
    report = Report({}, load=0.0, lines=[Line("whole", "", "", (1.0,))])

    def fail():
        raise Failed("the feed was gone")

    program._try(plan, report, "polls", fail)
    program._try(plan, report, "library", lambda: report.add(Line("growth", "", "", (1.1,))))

    written = json.loads((tmp_path / "report.json").read_text())
    assert [line["key"] for line in written["lines"]] == ["whole", "growth"]
    assert list(written["failed"]) == ["polls"]
    assert "the feed was gone" in written["failed"]["polls"]
    assert written["failed"]["polls"].endswith("python -m benchmarks --parts polls")


def test_rounds_are_compared_within_themselves():
    """Each ratio is of one round, never of the best of one and the best of another."""
    rounds = Rounds(10, [a_round(0.2, 0.4, 0.4, (4, 6)), a_round(0.1, 0.3, 0.5, (5, 9))])
    rounds.absent["news-please"] = "left out"
    lines = keyed(findings.of_rounds(rounds))

    assert lines["line_to_extraction"].values == pytest.approx((0.5, 0.2))
    assert lines["extraction_to_trafilatura"].values == pytest.approx((2.0, 3.0))
    assert lines["extraction_two_to_one"].values == pytest.approx((1.5, 1.8))
    assert lines["line_two_to_one"].values == pytest.approx((2.0, 2.0))
    assert lines["line_to_newspaper4k"].values == pytest.approx((3.0, 1.8))
    assert "raised at 2" in lines["line_to_newspaper4k"].note
    assert lines["line_to_news-please"].value is None
    assert "left out" in lines["line_to_news-please"].note
    assert lines["worker_memory"].value == 200


def test_articles_take_room_in_store_and_index_and_pages_in_the_archive():
    lines = keyed(findings.of_rounds(Rounds(10, [a_round(1, 1, 1, (1, 1))], {"news-please": ""})))

    assert lines["disk_store"].value == 10
    assert lines["disk_index"].value == 2
    assert lines["disk_archive"].value == 5


def test_the_writer_is_compared_with_the_helper_and_the_index_step_with_the_line():
    passage = replace(PASSAGE, indexing=0.02)

    lines = keyed(findings.of_server([Writing(950, 1000), Writing(1000, 1000), Writing(400, 500)], passage))

    assert lines["writer_to_helper"].value == 0.95
    assert lines["writer_to_helper"].met
    assert lines["indexing_to_line"].value == pytest.approx(0.05)
    assert lines["indexing_to_line"].met


def test_scores_are_subtracted_or_said_to_be_missing():
    assert findings.of_scores({OURS: 0.92, THEIRS: 0.90}).value == 0.02
    assert findings.of_scores({}).value is None
    assert "not measured" in findings.of_scores({}).note


def test_polls_are_divided_by_the_parse():
    each = Polls(feedparser=0.02, alone={"feed": 0.001, "same": 0.002}, stored={"feed": 0.004, "same": 0.01})
    lines = keyed(findings.of_polls([each, replace(each, feedparser=0.01)]))

    assert len(lines) == 2 * len(KINDS)
    assert lines["poll_without_store_feed"].values == pytest.approx((0.05, 0.1))
    assert lines["poll_without_store_same"].values == pytest.approx((0.1, 0.2))
    assert lines["poll_with_store_feed"].values == pytest.approx((0.2, 0.4))
    assert lines["poll_with_store_same"].values == pytest.approx((0.5, 1.0))


def test_growth_is_the_large_library_divided_by_the_small_one():
    """With all steps; a newcomer's candidates are those in the large one."""
    few = [Turn({"take": 0.001, "index": 0.003}, 0.0), Turn({"take": 0.001, "index": 0.001}, 0.0)]
    many = [Turn({"take": 0.002, "index": 0.003}, 0.5), Turn({"take": 0.001, "index": 0.002}, 0.7)]
    lines = keyed(findings.of_growth(Growth(few, many), (2_000, 200_000)))

    assert lines["growth"].values == pytest.approx((1.25, 1.5))
    assert lines["candidates"].values == (0.5, 0.7)


def test_only_phrases_of_frequent_words_may_take_any_time():
    latency = Latency("a rare word", first=9.0, p50=1.0, p95=60.0, results=3, queries=(Query("mot"),))
    lines = list(findings.of_searches([latency, replace(latency, kind=searching.APART)], 10))

    assert [line.value for line in lines] == [60.0, 60.0]
    assert [line.met for line in lines] == [False, None]


@pytest.mark.parametrize(
    ("values", "bounds", "met"),
    [
        ((1.0, 3.0, 2.0), {"least": 2}, True),  # the median counts
        ((1.0, 3.0, 1.9), {"least": 2}, False),
        ((1.0,), {"most": 1}, True),
        ((1.1,), {"most": 1}, False),
        ((1.1,), {}, None),
        ((), {"least": 2}, None),
    ],
)
def test_a_line_is_met_where_its_median_is(values, bounds, met):
    assert Line("key", "", "", values, **bounds).met is met


def test_seconds_of_the_clock_are_not_judged_on_a_busy_machine():
    """CPU seconds are; on a quiet machine both."""
    cpu, clock = Line("cpu", "", "", (1.0,), most=2), Line("clock", "", "", (3.0,), most=2, clock=True)
    busy, quiet = Report({}, load=LOAD + 0.1), Report({}, load=LOAD)

    assert [busy.verdict(line) for line in (cpu, clock)] == ["met", "not judged"]
    assert [quiet.verdict(line) for line in (cpu, clock)] == ["met", "missed"]
    assert "not judged" in busy.as_heading()
    assert "not judged" not in quiet.as_heading()


def test_several_rounds_show_the_least_and_the_most():
    assert Line("key", "", "", (0.5, 0.25, 0.75)).seen == "0.50\n0.25 – 0.75"
    assert Line("key", "", "", (0.5,), " ms").seen == "0.50 ms"
    assert Line("key", "", "").seen == "–"


def test_a_child_is_charged_once():
    """While it lives, and no second time when it ends: CPU seconds, which a busy machine does not change."""
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint('burnt', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        with measured() as living:
            child.stdout.readline()
        with measured() as ending:
            child.communicate("\n")

    assert 0.45 < living.cpu < 0.9
    assert ending.cpu < 0.25


def test_a_number_is_the_same_article_in_every_process():
    """Whatever Python makes of its hashes."""
    say = (
        "import hashlib; from benchmarks import prose;"
        "print(hashlib.sha256(repr(list(prose.articles(1000, 30))).encode()).hexdigest())"
    )
    said = subprocess.run(
        [sys.executable, "-c", say],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )

    here = hashlib.sha256(repr(list(prose.articles(1000, 30))).encode()).hexdigest()
    assert said.stdout.strip() == here


def test_invented_articles_carry_the_topics_that_they_say():
    """So that newcomers cost what news costs: the shipped rules find what the stock is written with."""
    tagger = Tagger(rulebook.load(ROOT / "config" / "topics"))
    for written in prose.articles(0, 80):
        found = {tag.topic for tag in tagger.tag(written.title, written.lead, written.text)}
        assert found >= set(written.topics)
        assert bool(found) == bool(written.topics)


def test_queries_differ_as_long_as_there_are_others():
    """A month has no more than its days."""
    numbers = count()
    assert len(set(searching._different(lambda: Query(str(next(numbers) // 2)), 30))) == 30
    assert searching._different(lambda: Query("seul"), 3) == [Query("seul")] * 3
