"""The command line: what people and programs type.

Reads arguments, calls the rest and shows what came of it; decides nothing about articles. Tables and colours
are for people, `--json` is for programs, and a failure is one message with its cause and the next command
(the traceback goes to the log). Exit code 0 means success.
"""

import sys


def main() -> None:
    """The entry point of the command `veille`."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        this = sys.version.split()[0]
        sys.exit(
            f"veille: Python 3.11, 3.12 or 3.13 is needed, not {this}\n  → make PYTHON=python3.12 install"
        )
    try:
        from pipeline.cli.app import run
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        from pipeline.installation import repair

        sys.exit(f"veille: a library is missing or broken: {error}\n  → {repair()}")
    run()
