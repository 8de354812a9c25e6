"""What people wrote: the catalogue, the topics, the address for the User-Agent.

Corrects nothing.
"""

from collections.abc import Iterator

from pipeline import metrics
from pipeline.checkup.check import Check, as_bad, listed
from pipeline.checkup.library import Stored
from pipeline.errors import VeilleError
from pipeline.installation import ROOT
from pipeline.runtime import Runtime
from pipeline.store import feeds
from pipeline.wording import counted

WHAT = "configuration"


def look(runtime: Runtime, stored: Stored | None) -> Check:
    """Whether it can be read, fits the library, and says whom publishers may write to."""
    return as_bad(*_findings(runtime, stored))


def _findings(runtime: Runtime, stored: Stored | None) -> Iterator[Check]:
    folder = runtime.settings.config
    shipped = ", the shipped one" if folder == ROOT / "config" else ""
    yield _readable(runtime)
    yield Check(WHAT, "ok", f"in {folder}{shipped}")
    if not runtime.settings.contact:
        said = "publishers are not told whom to write to"
        yield Check(WHAT, "warning", said, "export VEILLE_CONTACT=you@example.org")
    if stored:
        yield from _strangers(runtime)


def _readable(runtime: Runtime) -> Check:
    """Catalogue and topics, or all that is wrong with the two."""
    wrong = []
    for part in ("catalogue", "rules"):
        try:
            getattr(runtime, part)
        except VeilleError as error:
            wrong.append(error)
    if wrong:
        return Check(WHAT, "failed", "\n".join(map(str, wrong)), wrong[0].hint)
    publishers, count = len(runtime.catalogue.publishers), len(runtime.catalogue.feeds())
    said = (counted(publishers, "publisher"), counted(count, "feed"), counted(len(runtime.rules), "topic"))
    return Check(WHAT, "ok", ", ".join(said))


def _strangers(runtime: Runtime) -> Iterator[Check]:
    """Feeds that the library asked of late and that the catalogue has not: left out, or another catalogue."""
    try:
        urls = [feed.url for feed in runtime.catalogue.feeds()]
    except VeilleError:  # said already
        return
    with runtime.store.transaction("doctor") as tx:
        found = feeds.strangers(tx, urls, since=runtime.now() - metrics.SILENT_AFTER)
    if found:
        said = f"{counted(len(found), 'feed')} asked this week, not in it any more: {listed(found)}"
        hint = "export VEILLE_CONFIG=FOLDER, the one whose sources.yaml names them"
        yield Check(WHAT, "warning", said, hint)
