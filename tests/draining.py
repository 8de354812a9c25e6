"""Writers that drain the outbox into a search server, and what must be true when they have.

Knows no fault: tests do.
"""

import contextlib
import threading
from functools import partial

from pipeline.stages import index
from pipeline.store import articles, outbox


@contextlib.contextmanager
def together(*works):
    """All of these go on meanwhile; in the end all have ended, and what stopped one of them is raised."""
    failures = []

    def watched(work):
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised below
            failures.append(error)

    threads = [threading.Thread(target=watched, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    for failure in failures:
        raise failure


def writing(*runtimes):
    """Writers drain the outbox meanwhile."""
    return together(*(partial(index.drain, runtime, "writer") for runtime in runtimes))


def waiting(runtime):
    with runtime.store.transaction("look") as tx:
        return outbox.size(tx).waiting


def assert_whole(runtime, count):
    """The index holds each document once, at its version, and nothing is left to do."""
    assert not any(index.differences(runtime).values())
    assert runtime.index.count() == runtime.index.search("port", limit=0).total == count
    assert waiting(runtime) == 0


def rewritten(runtime, text):
    """The id of the article that has this text now: the first one that will be written."""
    with runtime.store.transaction("rewrite") as tx:
        [first] = articles.all_ids(tx, after=0, limit=1)
        tx.execute(
            "update revision set text = %s where entry_id = (select entry_id from article where id = %s)",
            [text, first],
        )
    return str(first)
