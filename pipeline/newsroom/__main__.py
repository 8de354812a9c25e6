"""`python -m pipeline.newsroom`: the newsroom as a process that others start, as the demonstration does.

Does not read settings: everything is on the command line. People have `veille newsroom`.
"""

import argparse
import logging
import sys
from datetime import datetime
from pathlib import Path

from pipeline.errors import VeilleError
from pipeline.newsroom.server import Newsroom
from pipeline.newsroom.serving import serve

PATIENCE_SECONDS = 10.0  # a server whose readers were killed ends in less than one


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # names have accents, terminals may not
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    patience = PATIENCE_SECONDS if options.until_eof else 0.0
    try:
        serve(
            Newsroom(options.home, port=options.port, now=options.now, patience=patience),
            until_eof=options.until_eof,
        )
    except VeilleError as error:
        print(f"newsroom: {error}", *filter(None, [error.hint]), sep="\n  ", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.newsroom", description="Serve the sample newsroom."
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="folder that keeps its port, dates and clock"
    )
    parser.add_argument("--port", type=int, default=0, help="move it to this port (its addresses change)")
    parser.add_argument("--now", type=_moment, help="the moment it believes it is, with its zone")
    parser.add_argument(
        "--until-eof",
        action="store_true",
        help="stop when standard input ends: when all who hold it are gone",
    )
    parser.add_argument("--verbose", action="store_true", help="one line for each request")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


if __name__ == "__main__":
    sys.exit(main())
