"""The ports that Veille keeps on this machine: those of its newsrooms. PostgreSQL listens on none.

Does not look at ports of other machines: a database server that does not answer is the database's line.
"""

import errno
import socket
from pathlib import Path
from shlex import quote

from pipeline.checkup.check import Check, as_bad
from pipeline.errors import VeilleError
from pipeline.runtime import Runtime


def look(runtime: Runtime) -> Check:
    """Who has them."""
    settings = runtime.settings
    database = "is asked over the network" if settings.database_url else "listens on none, only on a socket"
    folders = (settings.home, settings.home / "newsroom", settings.home / "demo")
    kept = [_of_newsroom(folder) for folder in folders if (folder / "newsroom.json").exists()]
    return as_bad(Check("ports", "ok", f"PostgreSQL {database}"), *kept)


def _of_newsroom(home: Path) -> Check:
    from pipeline.newsroom import states
    from pipeline.newsroom.web import ADDRESS
    from pipeline.store.embedded.locks import is_locked

    try:
        port = states.read(home / "newsroom.json").port
    except VeilleError as error:
        return Check("ports", "failed", str(error), error.hint)
    found = f"the port {port} of the newsroom in {home}"
    if is_locked(home / "newsroom.lock"):
        return Check("ports", "ok", f"{found} is being served")
    if _is_free(ADDRESS, port):
        return Check("ports", "ok", f"{found} is free")
    found += f" is another program's: fuser -v {port}/tcp shows which"
    return Check(
        "ports", "warning", found, f"veille newsroom --home {quote(str(home))} --port {_a_free(ADDRESS)}"
    )


def _a_free(address: str) -> int:
    """A port that nobody has now, for a command that can be copied."""
    from pipeline.newsroom.server import PORTS

    return next((port for port in PORTS if _is_free(address, port)), 0)


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
