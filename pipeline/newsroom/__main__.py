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

PATIENCE_SECONDS = 10.0  # a server whose readers were killed ends in less than one


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    patience = PATIENCE_SECONDS if options.until_eof else 0.0
    newsroom = Newsroom(options.home, port=options.port, patience=patience)
    try:
        if options.edition is not None:
            newsroom.publish_edition(options.edition)
            print(f"edition {newsroom.edition}")  # noqa: T201 a command speaks on standard output
        else:
            _serve(newsroom, until_eof=options.until_eof)
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
    parser.add_argument(
        "--until-eof",
        action="store_true",
        help="stop when standard input ends: when all who hold it are gone",
    )
    parser.add_argument("--edition", type=int, help="turn to this edition (1 or 2) and exit")
    parser.add_argument("--verbose", action="store_true", help="one line for each request")
    return parser


def _serve(newsroom: Newsroom, *, until_eof: bool) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with newsroom:
        print(_addresses(newsroom), flush=True)  # noqa: T201 a command speaks on standard output
        if until_eof:
            threading.Thread(target=_await_eof, args=(ended,), daemon=True).start()
        ended.wait()


def _await_eof(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()


def _addresses(newsroom: Newsroom) -> str:
    lines = []
    for publisher in newsroom.sources()["publishers"]:
        lines.append(f"{publisher['name']}: http://{publisher['domains'][0]}:{newsroom.port}/")
        lines += [f"  {feed['url']}" for feed in publisher["feeds"]]
    return "\n".join([*lines, f"VEILLE_ALLOW_HOSTS={','.join(newsroom.hosts)}"])


if __name__ == "__main__":
    sys.exit(main())
