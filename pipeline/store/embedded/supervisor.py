"""`python -m pipeline.store.embedded.supervisor HOME`: keep a home's server up while it has users.

Speaks to no client; it knows its users by the lock that they hold.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from pipeline.errors import Busy, VeilleError
from pipeline.store.embedded import reports
from pipeline.store.embedded.locks import EXCLUSIVE, is_at, lock, try_lock
from pipeline.store.embedded.place import Place, read
from pipeline.store.embedded.server import Server
from pipeline.store.embedded.trouble import explained

IDLE_SECONDS = 10.0  # longer than the gap between two commands of a script
IDLE_VARIABLE = "VEILLE_EMBEDDED_IDLE_SECONDS"  # for tests, which cannot wait so long
TICK_SECONDS = 0.25
LOG_BYTES = 2 << 20


def main() -> int:
    """Become the supervisor of a home, unless it has one; 1 after an error, which was reported."""
    parser = argparse.ArgumentParser(description="Supervise the embedded PostgreSQL of a home.")
    parser.add_argument("home", type=Path)
    home = parser.parse_args().home
    if os.fork():
        os._exit(0)  # so that init, and not the user who started us, is to wait for our end
    os.umask(0o077)
    try:
        place = read(home)  # not `settle`: a home that was deleted meanwhile is not to come back
        with explained(f"the database in {place.root}"):
            try:
                mine = lock(place.lock("supervisor"), EXCLUSIVE, time.monotonic() + 0.5)
            except Busy:
                return 0  # there is one already
            _supervise(place, mine)
    except VeilleError as error:
        reports.send(error)
        return 1
    except Exception as error:
        reports.send(error)
        raise
    return 0


def _supervise(place: Place, mine: int) -> None:
    """Keep the server up while there are users, and stop it when there has been none for IDLE_SECONDS."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    place.stop_request.unlink(missing_ok=True)
    server, idle = Server(place), float(os.environ.get(IDLE_VARIABLE, IDLE_SECONDS))
    seen, last_visit = time.monotonic(), 0
    try:
        while place.is_there() and is_at(mine, place.lock("supervisor")):
            alone = try_lock(place.lock("users"), EXCLUSIVE, make=False)
            visit = place.lock("users").stat().st_mtime_ns
            if alone is None or visit != last_visit:
                seen, last_visit = time.monotonic(), visit
            if asked or place.stop_request.exists() or (alone and time.monotonic() - seen >= idle):
                return  # still holding `alone`: who comes now waits until this process has ended
            if alone is not None:
                os.close(alone)
            if server.tend(wanted=alone is None):
                reports.close()
            _bound(place.log)
            time.sleep(TICK_SECONDS)
    finally:
        if is_at(mine, place.lock("supervisor")):
            server.stop()
        else:
            server.kill()  # the folder was deleted: there is nothing to save


def _bound(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            with contextlib.suppress(OSError):  # a full disk must not keep it from shrinking
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)  # its writers append, so they go on at the new end


if __name__ == "__main__":
    sys.exit(main())
