"""One entry that brings up a bug does not stop the others, and is not forgotten."""

from datetime import timedelta

import pytest
from line import run_line

from pipeline import schedule, steps
from pipeline.errors import Conflict, Transient, Unparsable
from pipeline.model import Key, Outcome, Stage
from pipeline.stages import deduplicate, runner
from pipeline.stages.defects import work_around
from pipeline.store import articles, entries, leases, runs

pytestmark = pytest.mark.slow


@pytest.fixture
def read(runtime, first_edition):
    """The newsroom's pages, read and not yet compared."""
    run = run_line(runtime, ["discover", "fetch", "extract"])
    return runtime, run


def claim(runtime, now=None):
    with runtime.store.transaction("claim") as tx:
        token = leases.new_token(tx)
        now = now or runtime.now()
        return token, entries.claim(tx, Stage.DEDUPLICATE, token=token, lease=60, now=now, limit=100)


def bug(_):
    raise ValueError("the text of the page")


def stumbling(over, stumble=bug):
    """The stage's work, except that it stumbles over one entry."""

    def work(runtime, run, token, rows):
        if over in {row.id for row in rows}:
            stumble(runtime)
        deduplicate.work(runtime, run, token, rows)

    return work


def entry(runtime, id_):
    with runtime.store.transaction("look") as tx:
        return tx.execute("select * from entry where id = %s", [id_]).fetchone()


def test_one_entry_waits_and_the_others_go_on(read):
    """The reason names error and line, and not its message, which may quote a page."""
    runtime, run = read
    token, rows = claim(runtime)
    poison = rows[3].id
    work_around(runtime, run, token, rows, stumbling(poison))

    waiting = entry(runtime, poison)
    assert waiting["stage"] == Stage.DEDUPLICATE
    assert waiting["reason"].startswith("a bug: ValueError in test_defects.py")
    assert "text" not in waiting["reason"]
    assert waiting["due_at"] > runtime.now()
    assert {entry(runtime, row.id)["stage"] for row in rows if row.id != poison} == {Stage.TAG}


def test_it_gives_up_in_the_end_and_can_be_asked_for_again(read):
    """After the last attempt it is failed; `veille retry` lets it go on from its text."""
    runtime, run = read
    token, rows = claim(runtime)
    poison = rows[0].id
    work_around(runtime, run, token, rows, stumbling(poison))
    for _ in schedule.RETRY:
        token, rows = claim(runtime, now=runtime.now() + timedelta(days=2))
        work_around(runtime, run, token, rows, stumbling(poison))
    assert entry(runtime, poison)["outcome"] == Outcome.FAILED
    steps.deduplicate(runtime, run)

    with runtime.store.transaction("retry") as tx:
        assert entries.retry(tx, run=run, now=runtime.now()) >= 1
    with runtime.store.transaction("report") as tx:
        assert runs.report(tx, run).adds_up
    steps.deduplicate(runtime, run)

    assert entry(runtime, poison)["stage"] == Stage.TAG


def test_a_later_text_that_was_given_up_can_be_asked_for_again(read):
    """The article stays as it was; the report names the entry, and `veille retry` takes it."""
    runtime, run = read
    for step in (steps.deduplicate, steps.tag):
        step(runtime, run)
    with runtime.store.transaction("look") as tx:
        [poison] = tx.execute("select id from entry where outcome = 'new' order by id limit 1")
        entries.requeue(tx, poison["id"], at=runtime.now())
    for _ in range(len(schedule.RETRY) + 1):
        token, rows = claim(runtime, now=runtime.now() + timedelta(days=2))
        work_around(runtime, run, token, rows, stumbling(poison["id"]))
    assert entry(runtime, poison["id"])["outcome"] == Outcome.NEW

    with runtime.store.transaction("report") as tx:
        [row] = [row for row in runs.report(tx, run).failures if row["gave_up"]]
    with runtime.store.transaction("retry") as tx:
        assert entries.retry(tx, urls=[row["url"]], now=runtime.now()) == 1
    steps.deduplicate(runtime, run)

    assert row["id"] == poison["id"]
    assert entry(runtime, poison["id"])["stage"] == Stage.TAG


def test_a_value_beyond_the_database_s_limits_is_that_entry_s(read):
    """It would be beyond them each time: taken for a database that went away, it stopped all others."""
    runtime, run = read
    token, rows = claim(runtime)
    poison = rows[3].id

    def give_endless_key(runtime):
        with runtime.store.transaction("key") as tx:
            key = "".join(chr(0x4E00 + n * 7 % 20_000) for n in range(6_000))
            [article] = articles.create(tx, [rows[3]])
            articles.give_keys(tx, {Key("text", key): article})

    work_around(runtime, run, token, rows, stumbling(poison, give_endless_key))

    assert entry(runtime, poison)["stage"] == Stage.DEDUPLICATE
    assert {entry(runtime, row.id)["stage"] for row in rows if row.id != poison} == {Stage.TAG}


def test_what_may_pass_is_not_set_aside(read):
    """A database that went away is no bug of the entry: the task fails and is repeated."""
    runtime, run = read
    token, rows = claim(runtime)

    def away(*_):
        raise Transient("the database went away")

    with pytest.raises(Transient):
        work_around(runtime, run, token, rows, away)
    assert {entry(runtime, row.id)["attempts"] for row in rows} == {0}


def test_what_is_wrong_with_one_entry_is_that_entry_s(read):
    """An error that will come again, as of an address that cannot be, stops no other either."""
    runtime, run = read
    token, rows = claim(runtime)
    poison = rows[3].id

    def refuse(_):
        raise Unparsable("no such port")

    work_around(runtime, run, token, rows, stumbling(poison, refuse))

    assert entry(runtime, poison)["reason"] == "no such port"
    assert {entry(runtime, row.id)["stage"] for row in rows if row.id != poison} == {Stage.TAG}


def test_a_deadlock_is_begun_again(read):
    """Of two transactions in each other's way one is undone; its entries are worked a moment later."""
    runtime, run = read
    undone = []

    def work(runtime, run, token, rows):
        if not undone:
            undone.append(token)
            raise Conflict("the database asked to try again")
        deduplicate.work(runtime, run, token, rows)

    runner.drain(runtime, run, Stage.DEDUPLICATE, work, 100)

    with runtime.store.transaction("look") as tx:
        assert not entries.pending(tx, [Stage.DEDUPLICATE], now=runtime.now()).free
        found = tx.execute("select sum(attempts) as n from entry where stage = 'tag'").fetchone()
    assert undone
    assert found == {"n": 0}
