"""The year in which an article was first seen chooses its index, and never changes: it would stand in two."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from engines import ENGINES, Tantivy, opened_engine
from readings import COURRIER, opened, prose, read, rows, settle, take

from pipeline.stages import index

pytestmark = pytest.mark.slow

PARIS = ZoneInfo("Europe/Paris")
EVE = dt.datetime(2024, 12, 31, 23, 50, tzinfo=PARIS)
NEW_YEAR = dt.datetime(2025, 1, 1, tzinfo=PARIS)
AFTER = dt.datetime(2025, 1, 1, 0, 10, tzinfo=PARIS)


@pytest.fixture(params=ENGINES)
def runtime(request, open_runtime, tmp_path):
    """A library of its own, on each engine."""
    with opened_engine(request, tmp_path / "index") as engine:

        def on_engine(**changes):
            if not isinstance(engine, Tantivy):
                its = engine.address
                changes |= {"index_url": its.url, "index_user": its.user, "index_password": its.password}
                changes |= {"index_name": engine.name}
            runtime = open_runtime(**changes)
            runtime.index.setup()
            return runtime

        yield opened(on_engine, tmp_path)


def seen(runtime, at, *readings):
    """This page was found at that moment, and read so, and all work that follows was done."""
    take(runtime, *readings)
    url = readings[0].canonical_url
    with runtime.store.transaction("backdate") as tx:
        tx.execute("update entry set discovered_at = %s where canonical_url = %s", [at, url])
    settle(runtime)


def first_seen(runtime):
    return {row["id"]: row["first_seen"] for row in rows(runtime, "select id, first_seen from article")}


@pytest.mark.parametrize(
    ("found", "kept"), [((EVE, AFTER), EVE), ((AFTER, EVE), NEW_YEAR)], ids=["in order", "later one first"]
)
def test_two_that_turn_out_to_be_one_stand_in_one_year(runtime, found, kept):
    """Found on both sides of midnight, in either order: the earlier article stays where it is."""
    a, b, c = (f"{COURRIER}/{name}" for name in ("a", "b", "a-b"))
    seen(runtime, found[0], read(a, prose("a")))
    seen(runtime, found[1], read(b, prose("b")))
    assert list(first_seen(runtime).values()) == list(found)
    assert len(runtime.index.versions()) == 2

    seen(runtime, AFTER, read(c, prose("c"), page=a), read(c, prose("d"), page=b))

    [survivor] = [row["id"] for row in rows(runtime, "select id from article where indexed")]
    assert first_seen(runtime)[survivor] == kept
    assert runtime.index.versions().keys() == {str(survivor)}
    assert runtime.index.count() == 1
    assert runtime.index.doubled() == set()
    assert not any(index.differences(runtime).values())
