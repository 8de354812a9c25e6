"""PostgreSQL and Elasticsearch as their images would run them: the same variables, data of their own, which
are made at the first start.

Each variable is read as the image's documentation says; one that is not known here is an error, so that the
rehearsal does not pass over it. Of Elasticsearch's settings the server itself knows which exist.
"""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from searchserver import parts

from pipeline.store.embedded import programs
from pipeline.store.embedded.place import account
from rehearsal.compose import ComposeError, Service
from rehearsal.services import Running
from rehearsal.world import World

POSTGRES = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS"}
ELASTICSEARCH = {"ELASTIC_PASSWORD", "ES_JAVA_OPTS"}
LOCALLY = """\
network.host: 127.0.0.1
http.port: {port}
transport.port: 0
path.data: {folder}/data
path.logs: {folder}/logs
cluster.routing.allocation.disk.threshold_enabled: false
"""


def postgresql(service: Service, world: World) -> tuple[Running, dict[str, str]]:
    """Start it; returns it and the environment for its health check."""
    given = service.environment
    _known(service, set(given) - POSTGRES)
    if service.command[:1] != ("postgres",):
        raise ComposeError(f"{service.name}: the command must be postgres with options")
    folder = world.folder / "postgres"
    user = _owned(folder)
    engine = programs.engine(folder, user)
    environment = {"PATH": f"{engine}:{os.defpath}", "LC_ALL": "C", "PGPORT": str(world.port("5432"))}
    name = given.get("POSTGRES_USER", "postgres")
    if not (folder / "data").exists():
        secret = folder / "password"
        secret.write_text(given["POSTGRES_PASSWORD"])
        _give(secret, user)
        options = shlex.split(given.get("POSTGRES_INITDB_ARGS", ""))
        initdb = [
            engine / "initdb",
            "--pgdata",
            folder / "data",
            "--username",
            name,
            "--pwfile",
            secret,
            *options,
        ]
        _run([*initdb, "--encoding", "UTF8", "--locale", "C"], environment, folder, user)
        secret.unlink()
    here = ["listen_addresses=127.0.0.1", f"port={world.port('5432')}", "unix_socket_directories="]
    server = Running(
        service.name,
        [
            engine / "postgres",
            "-D",
            folder / "data",
            *(word for one in here for word in ("-c", one)),
            *service.command[1:],
        ],
        environment,
        _log(world, service),
        folder=folder,
        user=_other(user),
        stop_signal=signal.SIGINT,  # the image's STOPSIGNAL: a fast stop
    )
    return server, environment | {"POSTGRES_USER": name}


def dump(world: World, database: str, password: str) -> bytes:
    """All that stands in a database, as its owner, which has its name, sees it."""
    dumping = [programs.engine(world.folder / "postgres", account()) / "pg_dump", "--host", "127.0.0.1"]
    return subprocess.run(
        [*dumping, "--port", str(world.port("5432")), "--username", database, database],
        env={"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": password},
        capture_output=True,
        check=True,
    ).stdout


def elasticsearch(service: Service, world: World) -> tuple[Running, dict[str, str]]:
    """Start it; returns it and the environment for its health check."""
    settings = {name: value for name, value in service.environment.items() if "." in name}
    _known(service, set(service.environment) - ELASTICSEARCH - set(settings))
    folder = world.folder / "elasticsearch"
    user = _owned(folder)
    java = parts.jdk()
    home = folder / f"elasticsearch-{parts.VERSION}"
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "ES_JAVA_HOME": str(java),
        "ES_PATH_CONF": str(home / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
        "ES_JAVA_OPTS": service.environment.get("ES_JAVA_OPTS", ""),
    }
    if not home.exists():
        parts.unpack(folder, java)
        local = LOCALLY.format(port=world.port("9200"), folder=folder)
        own = "".join(f"{name}: {value}\n" for name, value in settings.items())
        (home / "config" / "elasticsearch.yml").write_text(own + local)
        _prepare(home, environment, user, service.environment["ELASTIC_PASSWORD"])
    server = Running(
        service.name,
        [home / "bin" / "elasticsearch"],
        environment,
        _log(world, service),
        folder=folder,
        user=_other(user),
    )
    return server, {"PATH": os.defpath, "ELASTIC_PASSWORD": service.environment["ELASTIC_PASSWORD"]}


def _prepare(home: Path, environment: dict[str, str], user: pwd.struct_passwd, password: str) -> None:
    """What the image does before its first start: folders of its own, and the superuser's password."""
    folder = home.parent
    for name in ("data", "logs", "tmp"):
        (folder / name).mkdir()
    for path in folder.rglob("*"):
        _give(path, user)
    keystore = [home / "bin" / "elasticsearch-keystore"]
    _run([*keystore, "create"], environment, folder, user)
    _run([*keystore, "add", "-x", "-f", "bootstrap.password"], environment, folder, user, password.encode())


def _known(service: Service, unknown: set[str]) -> None:
    if unknown:
        raise ComposeError(f"{service.name}: the rehearsal does not know {', '.join(sorted(unknown))}")


def _owned(folder: Path) -> pwd.struct_passwd:
    """Make a folder for the account that runs a store: our own, or one without rights if we are root."""
    folder.mkdir(mode=0o755, exist_ok=True)
    user = account()
    _give(folder, user)
    return user


def _give(path: Path, user: pwd.struct_passwd) -> None:
    if _other(user) is not None:
        shutil.chown(path, user.pw_uid, user.pw_gid)


def _other(user: pwd.struct_passwd) -> int | None:
    return None if user.pw_uid == os.geteuid() else user.pw_uid


def _run(
    command: list[str | Path],
    environment: dict[str, str],
    folder: Path,
    user: pwd.struct_passwd,
    said: bytes = b"",
) -> None:
    other = _other(user)
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        input=said,
        capture_output=True,
        user=other,
        group=other,
        extra_groups=None if other is None else [],
        check=False,
    )
    if done.returncode:
        raise ComposeError(f"{command[0]} failed: {(done.stderr or done.stdout).decode()[-500:]}")


def _log(world: World, service: Service) -> Path:
    return world.folder / "logs" / f"{service.name}.log"
