"""The data folder (PostgreSQL says: database cluster): made by initdb, checked, configured.

Starts no server, and never changes data.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from pipeline.disk import sync_names
from pipeline.errors import ConfigError
from pipeline.store.embedded import files, programs
from pipeline.store.embedded.place import PORT, Place
from pipeline.store.embedded.trouble import ELSEWHERE, explain

ROLE = "veille"

# Sizes for a laptop or a small machine that also runs Airflow. No parallel queries: two cores have other
# work, and /dev/shm is only 64 MB in a container. No replication, so the least WAL; I/O in the backends, so
# three processes fewer. The log gets one terse line per event: neither statements nor the rows that failed,
# which hold page text.
SETTINGS = f"""\
listen_addresses = ''
unix_socket_permissions = 0700
port = {PORT}
cluster_name = 'veille'
max_connections = 200
shared_buffers = 128MB
io_method = sync
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
fsync = on
wal_level = minimal
max_wal_senders = 0
max_replication_slots = 0
max_logical_replication_workers = 0
min_wal_size = 16MB
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_checkpoints = off
log_autovacuum_min_duration = -1
log_line_prefix = '%m [%p] '
"""


def make(place: Place, account: pwd.struct_passwd, engine: Path, lock: int) -> None:
    """Make the data folder beside its place and rename it when it is whole and on the disk."""
    new = place.root / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    files.give(new, account)
    command: list[str | Path] = [engine / "initdb", "-D", new, "-U", ROLE, "-E", "UTF8", "--auth=peer"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    # 4 MB segments: the data folder begins with 31 MB instead of 39, and its WAL shrinks to 16 MB again.
    command += ["--wal-segsize=4"]
    # Not into a file: on a full disk it would stay empty, and the cause untold.
    process = programs.start(command, account, new, subprocess.PIPE, lock)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise explain(f"initdb could not make {place.data}", programs.messages(said))
    new.rename(place.data)
    sync_names(place.root)


def check_version(data: Path) -> None:
    """Raise ConfigError unless `data` was written by the major version that we bring."""
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise ConfigError(f"{data} is no data folder of PostgreSQL", hint=ELSEWHERE) from error
    if found != programs.MAJOR:
        raise ConfigError(
            f"{data} was written by PostgreSQL {found}, this Veille brings {programs.MAJOR}",
            hint="dump it with the Veille that wrote it (pg_dump), load the dump into a new VEILLE_HOME",
        )


def configure(place: Place, account: pwd.struct_passwd) -> list[str | Path]:
    """Write the configuration, give the socket its folder; returns the options that name both."""
    owner = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
    options: list[str | Path] = ["-c", f"unix_socket_directories={place.socket}"]
    for setting, name, text in (
        ("config_file", "postgresql.conf", SETTINGS),
        ("hba_file", "pg_hba.conf", f"local all {ROLE} peer map=owner\n"),
        ("ident_file", "pg_ident.conf", f'owner "{owner}" {ROLE}\n'),
    ):
        file = place.root / name  # beside the data: root writes nothing where nobody may
        file.write_text(text)
        file.chmod(0o644)
        options += ["-c", f"{setting}={file}"]
    files.give(place.socket, account)
    return options
