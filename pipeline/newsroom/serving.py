"""Serving the newsroom until somebody ends it: a signal, or the end of standard input.

Does not read arguments or settings.
"""

import os
import signal
import threading
from collections.abc import Callable

from pipeline.newsroom.server import Newsroom


def serve(
    newsroom: Newsroom, *, until_eof: bool = False, announce: Callable[[Newsroom], str] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; with `until_eof` also until standard input ends.

    Prints what is where, and after it what `announce` says of the newsroom, which is open then.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with newsroom:
        said = [addresses(newsroom), *([announce(newsroom)] if announce else [])]
        print(*said, sep="\n", flush=True)  # noqa: T201 a command speaks on standard output
        if until_eof:
            threading.Thread(target=_await_eof, args=(ended,), daemon=True).start()
        ended.wait()


def addresses(newsroom: Newsroom) -> str:
    """Every publisher with its feeds, and last the hosts as VEILLE_ALLOW_HOSTS takes them."""
    lines = []
    for publisher in newsroom.sources()["publishers"]:
        lines.append(f"{publisher['name']}: http://{publisher['domains'][0]}:{newsroom.port}/")
        lines += [f"  {feed['url']}" for feed in publisher["feeds"]]
    return "\n".join([*lines, f"VEILLE_ALLOW_HOSTS={','.join(newsroom.hosts)}"])


def _await_eof(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()
