"""The store: locks that leave no trace, leases that are renewed, an outbox that forgets nothing."""

import threading
import time
from datetime import UTC, datetime

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


def claimed(store):
    with store.transaction("claim") as tx:
        token = leases.new_token(tx)
        return token, outbox.claim(tx, token=token, lease=60, now=NOW, limit=10)


def touched(store, article):
    with store.transaction("touch") as tx:
        articles.touch(tx, [article], now=NOW)
        return tx.execute("select version from article where id = %s", [article]).fetchone()["version"]


def test_what_is_saved_while_it_is_written_stays_dirty(store):
    """The acknowledgement of an older version strikes nothing; that of the present one does."""
    article = an_article(store)
    written = touched(store, article)
    assert claimed(store)[1] == [article]
    present = touched(store, article)

    with store.transaction("acknowledge") as tx:
        outbox.acknowledge(tx, {article: written})
    assert count(store, "select count(*) from outbox") == 1

    with store.transaction("acknowledge") as tx:
        outbox.acknowledge(tx, {article: present})
    assert count(store, "select count(*) from outbox") == 0


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
