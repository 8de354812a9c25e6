"""The store: locks that leave no trace, leases that are renewed, an outbox that forgets nothing."""

import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pipeline.errors import Busy
from pipeline.store import INDEX, articles, leases, outbox
from pipeline.store.leases import Keeper

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def count(store, query):
    with store.transaction("look") as tx:
        return tx.execute(query).fetchone()["count"]


def test_a_lock_that_was_not_had_leaves_transactions_as_they_are(store):
    """After Busy, a block that raises is rolled back as ever, and nobody waits for less than before."""
    with store.session_lock(INDEX, wait_seconds=1):
        with pytest.raises(Busy), store.session_lock(INDEX, wait_seconds=0.2):
            pass
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero), store.transaction("undone") as tx:
                add_and_fail(tx)
            with store.transaction("look") as tx:
                assert tx.execute("show lock_timeout").fetchone() == {"lock_timeout": "0"}

    assert count(store, "select count(*) from host") == 0
    with store.session_lock(INDEX, wait_seconds=1):
        pass


def add_and_fail(tx):
    tx.execute("insert into host (name) values ('presse.example')")
    tx.execute("select 1 / 0")


def test_a_connection_that_ended_while_it_rested_is_not_given_out(store):
    """A server that was started anew, a proxy that cuts what is silent: the next transaction has another."""
    with store.transaction("look") as tx:
        with store.transaction("other"):
            pass
        ended = tx.execute(
            "select pg_terminate_backend(pid, 9999) as ended from pg_stat_activity"
            " where datname = current_database() and application_name = 'veille' and pid <> pg_backend_pid()"
        )
        assert [row["ended"] for row in ended] == [True]

    assert count(store, "select count(*) from host") == 0


def an_article(store):
    with store.transaction("make") as tx:
        statement = (
            "insert into article (publisher, url, first_seen, indexed) values ('gazette', '', %s, false)"
            " returning id"
        )
        return tx.execute(statement, [NOW]).fetchone()["id"]


def claimed(store, *, now=NOW, lease=60, limit=10):
    with store.transaction("claim") as tx:
        token = leases.new_token(tx)
        return token, outbox.claim(tx, token=token, lease=lease, now=now, limit=limit)


def touched(store, article):
    with store.transaction("touch") as tx:
        articles.touch(tx, [article], now=NOW)
        return tx.execute("select version from article where id = %s", [article]).fetchone()["version"]


def test_what_is_saved_while_it_is_written_stays_dirty(store):
    """The acknowledgement of an older version strikes nothing; that of the present one does."""
    article = an_article(store)
    written = touched(store, article)
    token, ids = claimed(store)
    assert ids == [article]
    present = touched(store, article)

    with store.transaction("acknowledge") as tx:
        outbox.acknowledge(tx, token, {article: written})
    assert count(store, "select count(*) from outbox") == 1

    with store.transaction("acknowledge") as tx:
        outbox.acknowledge(tx, token, {article: present})
    assert count(store, "select count(*) from outbox") == 0


def test_what_somebody_else_has_claimed_since_is_not_struck(store):
    """A writer that was paused beyond its lease says nothing about its documents any more."""
    article = an_article(store)
    version = touched(store, article)
    late, _ = claimed(store, lease=0)
    assert claimed(store)[1] == [article]

    with store.transaction("acknowledge") as tx:
        outbox.acknowledge(tx, late, {article: version})
        outbox.quarantine(tx, late, {article: (version, "too long a word")})
        outbox.put_off(tx, late, {article: (version, "busy")}, now=NOW)
        outbox.pass_over(tx, late, {article: version}, now=NOW)

    untouched = "select count(*) from outbox where due_at = 'epoch' and reason = '' and put_off = 0"
    assert count(store, untouched) == 1


def test_what_is_put_off_waits_longer_each_time(store):
    """From a second to an hour; saved again, it is due at once."""
    article = an_article(store)
    version = touched(store, article)
    now, waits = NOW, []
    for _ in range(14):
        token, ids = claimed(store, now=now, lease=0)
        assert ids == [article]
        with store.transaction("put_off") as tx:
            outbox.put_off(tx, token, {article: (version, "busy")}, now=now)
            due = tx.execute("select due_at from outbox").fetchone()["due_at"]
            assert outbox.pending(tx, now=now, within=(due - now).total_seconds() - 0.5).held == 0
            assert outbox.pending(tx, now=now, within=(due - now).total_seconds() + 0.5).held == 1
        assert claimed(store, now=now, lease=0)[1] == []
        waits.append((due - now).total_seconds())
        now = due
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    with store.transaction("look") as tx:
        assert outbox.waiting(tx) == {str(article): "busy"}

    touched(store, article)
    token, ids = claimed(store, lease=0)
    assert ids == [article]
    with store.transaction("look") as tx:
        outbox.put_off(tx, token, {article: (version + 1, "busy")}, now=NOW)
        assert tx.execute("select due_at from outbox").fetchone()["due_at"] == NOW + timedelta(seconds=1)


def test_what_was_sent_in_vain_comes_after_the_rest(store):
    """In whatever order it was saved."""
    first, second, third = (an_article(store) for _ in range(3))
    versions = {article: touched(store, article) for article in (first, second, third)}
    token, ids = claimed(store, lease=0, limit=1)
    assert ids == [first]
    with store.transaction("pass_over") as tx:
        outbox.pass_over(tx, token, {first: versions[first]}, now=NOW)

    order = [claimed(store, limit=1)[1] for _ in range(3)]
    assert order == [[second], [third], [first]]


def test_a_lease_is_renewed_while_its_owner_works_and_given_back_after(store):
    """Its end moves on, quarter by quarter; after the block nobody holds the row."""
    article = an_article(store)
    touched(store, article)
    store.lease_seconds = 0.4
    keeper = Keeper(store)
    token, _ = claimed(store)
    renewed = threading.Event()

    def look():
        with store.transaction("look") as tx:
            first = tx.execute("select lease_until from outbox").fetchone()["lease_until"]
            while tx.execute("select lease_until from outbox").fetchone()["lease_until"] == first:
                tx.rollback()
                time.sleep(0.02)
        renewed.set()

    with keeper.keep(token):
        threading.Thread(target=look, daemon=True).start()
        assert renewed.wait(20)
    keeper.close()

    assert count(store, "select count(*) from outbox where lease_token is not null") == 0
