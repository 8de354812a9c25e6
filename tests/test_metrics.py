"""The figures for an operator: complete, exact, and in the format that Prometheus reads."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from readings import GAZETTE, opened, prose, read, settle

from pipeline import metrics, steps
from pipeline.metrics import Feeds, Status
from pipeline.model import Outcome, Stage
from pipeline.store import articles, leases, outbox, runs

NOTHING = Status(Feeds(0, 0, 0, 0), {}, {}, 0.0, 0, 0, 0, 0.0, 0, {}, [])
SAMPLE = re.compile(r'veille_(\w+)(?:\{(\w+)="((?:[^"\\\n]|\\[\\"n])*)"\})? (\S+)')
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def scraped(status):
    """What Prometheus takes from the text, by name and label; every name has one type, told before."""
    types, values = {}, {}
    for line in metrics.text(status).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("# HELP "):
            name, _, label, value = SAMPLE.fullmatch(line).groups()
            assert types[f"veille_{name}"] == ("counter" if name.endswith("_total") else "gauge")
            values[name, re.sub(r"\\.", lambda found: UNESCAPED[found[0]], label or "")] = float(value)
    return values


def test_what_only_grows_is_a_counter_and_the_rest_are_gauges():
    """Asserted for each line by `scraped`."""
    assert scraped(replace(NOTHING, seconds={"fetch": 1.5}))["step_seconds_total", "fetch"] == 1.5


def test_large_figures_are_exact():
    """Six digits would hide that the millionth article came."""
    status = replace(NOTHING, articles=1_234_567, seconds={"fetch": 1_234_567.25})

    assert scraped(status)["articles", ""] == 1_234_567
    assert scraped(status)["step_seconds_total", "fetch"] == 1_234_567.25


@pytest.mark.parametrize("name", ['"', "\\", "\n", '\\"\n\\n'], ids=repr)
def test_any_label_can_be_read_back(name):
    assert scraped(replace(NOTHING, seconds={name: 1.0}))["step_seconds_total", name] == 1.0


@pytest.mark.slow
def test_a_new_library_has_every_series_and_all_feeds_are_late(runtime):
    """An alarm that waits for a series to come, or for one to be 0, must not wait for ever."""
    found = scraped(metrics.collect(runtime))

    assert {label for name, label in found if name == "entries"} == {*Outcome, "waiting"}
    assert {label for name, label in found if name == "stage_entries"} == {*Stage} - {Stage.DONE}
    assert {name for (name, _), value in found.items() if value} == {"feeds", "feeds_due", "feeds_late"}
    assert found["feeds", ""] == found["feeds_due", ""] == found["feeds_late", ""] == 4


@pytest.mark.slow
def test_a_feed_is_late_a_day_after_its_last_poll(runtime, first_edition):
    """Polled feeds are in time; one that failed and rests is not due; what left the catalogue is not told."""
    run = runs.fresh("command", polls=True, reason="a test", now=runtime.now())
    steps.start(runtime, run)
    steps.discover(runtime, run.id)
    assert metrics.collect(runtime).feeds == Feeds(catalogue=4, due=4, failing=0, late=0)

    now = runtime.now()
    with runtime.store.transaction("later") as tx:
        tx.execute("update feed set polled_at = %s where id = 1", [now - metrics.LATE_AFTER])
        tx.execute(
            "update feed set failures = 1, not_before = %s where id in (1, 2)", [now + timedelta(hours=1)]
        )
        tx.execute("insert into feed (url, publisher, host) values ('https://gone.invalid/', 'p', 'h')")
    assert metrics.collect(runtime).feeds == Feeds(catalogue=4, due=2, failing=2, late=1)


@pytest.mark.slow
def test_what_the_index_refused_does_not_wait(open_runtime, tmp_path):
    """Nobody will write it: the age of the outbox would grow for ever."""
    runtime = opened(open_runtime, tmp_path)
    settle(runtime, read(f"{GAZETTE}/pont", prose("pont")))
    with runtime.store.transaction("save") as tx:
        articles.touch(tx, [1], now=runtime.now() - timedelta(hours=2))
    waiting = metrics.collect(runtime)
    with runtime.store.transaction("refuse") as tx:
        token = leases.new_token(tx)
        outbox.claim(tx, token=token, lease=0, now=runtime.now(), limit=1)
        outbox.quarantine(tx, token, {1: (dict(articles.versions(tx))["1"], "too long a word")})
    kept = metrics.collect(runtime)

    assert (waiting.outbox, waiting.refused, round(waiting.outbox_age, -2)) == (1, 0, 7200)
    assert (kept.outbox, kept.refused, kept.outbox_age) == (0, 1, 0)
