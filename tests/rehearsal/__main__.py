"""`python tests/rehearsal [--keep]`: the rehearsal of docker-compose.yml. Nothing stays, unless asked."""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from searchserver.parts import Lacking

from pipeline.errors import VeilleError
from rehearsal.compose import ComposeError
from rehearsal.services import Failed
from rehearsal.stage import rehearse

EXPECTED: dict[str, object] = {
    "objects in Kibana": 7,
    "state of news_daily": "success",
    "differences between index and store": 0,
    "imports into Kibana": 2,
    "articles lost by a second start": 0,
    "secrets in logs and databases": [],
    "services above their memory limit": [],
    "files written outside volumes": [],
}


def main() -> int:
    """Returns the exit code: 0 if all came as expected, 3 if a program is lacking, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description="Rehearse docker-compose.yml without a container engine.")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and data")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells switch off in the background
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="veille-rehearsal-"))
    folder.chmod(0o711)
    try:
        return _play(folder)
    except KeyboardInterrupt:
        _say("interrupted; all services were stopped")
        return 130
    finally:
        _say(f"kept: {folder}" if keep else "nothing stays")
        if not keep:
            shutil.rmtree(folder)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _play(folder: Path) -> int:
    wrong = []
    try:
        with contextlib.closing(rehearse(folder, _say)) as found:
            for name, value in found:
                _say(f"          {name}: {value}")
                if value != EXPECTED.get(name, value) or not (value or name in EXPECTED):
                    wrong.append(f"{name}: {value}, {EXPECTED.get(name, 'some')} expected")
    except Lacking as error:
        _say(str(error))
        return 3
    except (ComposeError, Failed, VeilleError) as error:
        wrong.append(str(error))
    _say("\n".join(f"failed: {problem}" for problem in wrong) or "all services did their part")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
