"""`python -m pipeline.newsroom`: serve the sample newsroom by itself, or turn its edition.

Does not read settings: everything is on the command line.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from pipeline.errors import VeilleError
from pipeline.newsroom.server import Newsroom

PARENT_CHECK_SECONDS = 0.5  # getppid() costs under a microsecond


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    newsroom = Newsroom(options.home, port=options.port)
    try:
        if options.edition is not None:
            newsroom.publish_edition(options.edition)
            print(f"edition {newsroom.edition}")  # noqa: T201 a command speaks on standard output
        else:
            _serve(newsroom, os.getppid() if options.with_parent else None)
    except VeilleError as error:
        print(f"newsroom: {error}", *filter(None, [error.hint]), sep="\n  ", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.newsroom", description="Serve the sample newsroom."
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="folder that keeps its port, dates and edition"
    )
    parser.add_argument("--port", type=int, default=0, help="move it to this port (its addresses change)")
    parser.add_argument("--with-parent", action="store_true", help="stop when the starting process ends")
    parser.add_argument("--edition", type=int, help="turn to this edition (1 or 2) and exit")
    parser.add_argument("--verbose", action="store_true", help="one line for each request")
    return parser


def _serve(newsroom: Newsroom, parent: int | None) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with newsroom:
        print(_addresses(newsroom), flush=True)  # noqa: T201 a command speaks on standard output
        while not ended.wait(PARENT_CHECK_SECONDS if parent else None):
            if os.getppid() != parent:
                return


def _addresses(newsroom: Newsroom) -> str:
    lines = []
    for publisher in newsroom.sources()["publishers"]:
        lines.append(f"{publisher['name']}: http://{publisher['domains'][0]}:{newsroom.port}/")
        lines += [f"  {feed['url']}" for feed in publisher["feeds"]]
    return "\n".join([*lines, f"VEILLE_ALLOW_HOSTS={','.join(newsroom.hosts)}"])


if __name__ == "__main__":
    sys.exit(main())
