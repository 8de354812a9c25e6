"""The stack: docker-compose.yml, the Dockerfile and .env, property by property (promises D1 to D3).

No container engine is needed. That the services work together is shown by `test_rehearsal`.
"""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT
from hostile_server import Server, routes
from rehearsal import compose

from pipeline.checkup import machine
from pipeline.deployment import accounts, health, passwords
from pipeline.errors import ConfigError
from pipeline.workers import RESIDENT

FILE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ONCE = {"passwords", "setup", "kibana-setup"}
STORES = {"postgres", "elasticsearch", "kibana"}
AIRFLOW = {"airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
WRITABLE = {"elasticsearch", "kibana"}  # the file says why
DEFAULTS = {"VEILLE_ALLOW_HOSTS", "VEILLE_CLOCK_OFFSET", "VEILLE_CONTACT", "VEILLE_HOST_GAP_SECONDS"}
GB8 = 8 << 30
SCHEDULER = 400_000_000  # bytes of Airflow's scheduler, with room to spare
TASK = 200_000_000  # of a task: 163 million with all that it imports, and the process that watches it


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """What `make up` writes."""
    return passwords.make(tmp_path_factory.mktemp("env") / ".env")


@pytest.fixture(scope="module")
def services(values):
    return compose.load(FILE, values)


def test_all_services_are_there(services):
    """PostgreSQL, Elasticsearch, Kibana, the four of Airflow with LocalExecutor, and the set-up."""
    assert set(services) == ONCE | STORES | AIRFLOW
    assert {one.name for one in services.values() if one.is_once} == ONCE
    assert {services[name].environment["AIRFLOW__CORE__EXECUTOR"] for name in AIRFLOW} == {"LocalExecutor"}


def test_images_are_exact_versions_by_their_plain_names(services):
    """No registry, no `latest`; Elasticsearch is the one of the tests, and so is PostgreSQL, see below."""
    images = {services[name].image for name in services} | set(
        re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    )

    assert images == {"postgres:18.4", "elasticsearch:9.3.2", "kibana:9.3.2", "veille:0.1.0"} | {
        "python:3.11.14-slim-bookworm"
    }
    assert {image for image in images if not re.fullmatch(r"[a-z]+:\d+(\.\d+)+(-[a-z-]+)?", image)} == set()


def test_our_image_has_our_version(services):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert services["setup"].image == f"veille:{project['version']}"


def test_the_postgresql_is_the_embedded_one(services, server):
    import psycopg

    with psycopg.connect(server.url("postgres")) as connection:
        version = connection.execute("show server_version").fetchone()[0]
    assert services["postgres"].image == f"postgres:{version}"


def test_ports_are_on_loopback_only(services):
    """Only Kibana and Airflow can be reached at all."""
    published = {name: one.raw["ports"] for name, one in services.items() if "ports" in one.raw}

    assert published == {"kibana": ["127.0.0.1:5601:5601"], "airflow-apiserver": ["127.0.0.1:8080:8080"]}
    assert not [
        one.name for one in services.values() if one.raw.get("network_mode") or one.raw.get("privileged")
    ]


def test_nobody_is_root_and_nobody_may_become_it(services):
    for one in services.values():
        assert re.match(r"[1-9]", one.raw["user"]), one.name
        assert one.raw["cap_drop"] == ["ALL"], one.name
        assert one.raw["security_opt"] == ["no-new-privileges:true"], one.name
        assert "cap_add" not in one.raw, one.name


def test_file_systems_are_read_only_where_that_is_possible(services):
    assert {one.name for one in services.values() if not one.raw.get("read_only")} == WRITABLE


def test_what_lies_in_memory_belongs_to_the_service(services):
    """At every start of a container, not only its first: moby/moby#20437.

    The reader refuses any other owner and mode, see below.
    """
    found = {one.name: one.tmpfs for one in services.values() if one.tmpfs}

    airflow = dict.fromkeys({"setup", *AIRFLOW}, ("/opt/airflow", "/tmp"))
    assert found == airflow | {"postgres": ("/tmp", "/var/run/postgresql"), "kibana-setup": ("/tmp",)}


def test_all_memory_together_fits_8_gb(services):
    """The limits of all services, those that end at once among them."""
    limits = {one.name: compose.size(one.raw["mem_limit"]) for one in services.values()}

    assert sum(limits.values()) <= GB8
    heap = re.search(r"-Xmx(\d+m)", services["elasticsearch"].environment["ES_JAVA_OPTS"])[1]
    assert compose.size(heap) <= limits["elasticsearch"] / 2


def test_the_scheduler_has_room_for_as_many_tasks_as_it_starts(services):
    """There are as many tasks that read pages as the host has cores, and each has a child for the pages."""
    scheduler = services["airflow-scheduler"]
    tasks = int(scheduler.environment["AIRFLOW__CORE__PARALLELISM"])

    assert SCHEDULER + tasks * (TASK + RESIDENT) <= compose.size(scheduler.raw["mem_limit"])


def test_data_lie_in_named_volumes(services):
    """Nothing of the host is mounted but the configuration, which nobody may write."""
    mounts = [mount for one in services.values() for mount in one.mounts]

    assert {mount.source for mount in mounts if mount.is_named} == set(
        yaml.safe_load(FILE.read_text())["volumes"]
    )
    assert {(m.source, m.target, m.read_only) for m in mounts if not m.is_named} == {
        ("./config", "/etc/veille", True)
    }
    assert services["postgres"].mounts[0].target == "/var/lib/postgresql"  # since 18 not below it
    assert services["elasticsearch"].mounts[0].target == "/usr/share/elasticsearch/data"


def test_every_lasting_service_has_a_health_check(services):
    assert {one.name for one in services.values() if one.health is None} == ONCE


def test_the_order(services):
    """Passwords are looked at first; the stores are healthy before the set-up, which ends before all else."""

    def before(name):
        waits = services[name].depends_on
        return {name} | {above for other in waits for above in before(other)}

    conditions = {(a, b): how for a, one in services.items() for b, how in one.depends_on.items()}
    assert all(
        how == (compose.COMPLETED if other in ONCE else compose.HEALTHY)
        for (_, other), how in conditions.items()
    )
    assert all("passwords" in before(name) for name in services)
    assert before("setup") == {"setup", "postgres", "elasticsearch", "passwords"}
    assert all("setup" in before(name) for name in AIRFLOW | {"kibana", "kibana-setup"})
    assert "kibana" in before("kibana-setup")


def test_nothing_that_only_advises_keeps_the_stack_from_starting(services):
    """`veille doctor` fails for one refused document, and for the memory limit of a one-shot service.

    Who asks it does so in the scheduler, where there is room for what it counts.
    """
    assert not [one.name for one in services.values() if "doctor" in " ".join(one.command)]
    room = compose.size(services["airflow-scheduler"].raw["mem_limit"])
    assert machine.judged(room, "", 1).state == "ok"


def test_every_secret_is_required(services, values):
    """Each is in `.env`, and without it, or with an empty one, compose refuses to start."""
    taken = compose.variables(FILE)

    assert taken - DEFAULTS == set(passwords.NAMES)
    assert set(re.findall(r"\$\{(\w+):-[^}]*\}", FILE.read_text())) == DEFAULTS, "nothing else has a default"
    for name in passwords.NAMES:
        with pytest.raises(compose.ComposeError, match=f"{name} is missing: make up makes it"):
            compose.load(FILE, values | {name: ""})


def test_the_first_service_sees_every_secret(services, values):
    """So that no start gets round the check, whoever wrote `.env`."""
    assert services["passwords"].environment == {name: values[name] for name in passwords.NAMES}
    assert services["passwords"].command[-1] == "check"


def test_no_secret_stands_in_the_file_or_the_image(values):
    """They are variables; and `.env` does not get into the image."""
    written = FILE.read_text() + DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert not re.search(r"(?i)(password|secret|_key): *[^$\s/#]", re.sub(r"\$\{[^}]*\}", "$", written))
    assert ignored[1] == "*"
    assert not [line for line in ignored if "env" in line and line.startswith("!")]
    assert (ROOT / ".gitignore").read_text().splitlines().count(".env") == 1


def test_nobody_gets_a_secret_that_is_not_his(services, values):
    """The superusers' passwords are the set-up's; Kibana and Airflow's tasks have accounts of their own."""
    holders = {
        secret: {
            one.name
            for one in services.values()
            if one.name != "passwords" and any(values[secret] in value for value in one.environment.values())
        }
        for secret in passwords.NAMES
    }
    assert holders == {
        "ELASTIC_PASSWORD": {"elasticsearch", "setup", "kibana-setup"},
        "POSTGRES_PASSWORD": {"postgres", "setup"},
        "VEILLE_DATABASE_PASSWORD": {"setup", "airflow-scheduler", "airflow-triggerer"},
        "VEILLE_WRITER_PASSWORD": {"setup", "airflow-scheduler", "airflow-triggerer"},
        "VEILLE_READER_PASSWORD": {"setup"},
        "AIRFLOW_DATABASE_PASSWORD": {"setup"} | AIRFLOW,
        "AIRFLOW_ADMIN_PASSWORD": {"airflow-apiserver"},
        "KIBANA_SYSTEM_PASSWORD": {"setup", "kibana"},
        "KIBANA_ENCRYPTION_KEY": {"kibana"},
        "AIRFLOW_FERNET_KEY": {"setup"} | AIRFLOW,
        "AIRFLOW_JWT_SECRET": {"setup"} | AIRFLOW,
        "AIRFLOW_SECRET_KEY": {"setup"} | AIRFLOW,
    }


def test_tasks_write_the_index_as_the_one_who_may_only_do_that(services):
    """The superuser makes accounts and template, and nothing after that."""
    users = {one.name: one.environment.get("VEILLE_INDEX_USER") for one in services.values()}

    assert {name for name, user in users.items() if user == "elastic"} == {"setup"}
    assert {name for name, user in users.items() if user == "veille-writer"} == {
        "airflow-scheduler",
        "airflow-triggerer",
    }


def test_what_airflow_needs_to_be_the_same_is_the_same(services):
    """Else a healthy stack whose tasks all fail with 403, or whose triggers cannot be read."""
    for name in ("CORE__FERNET_KEY", "API_AUTH__JWT_SECRET", "API_AUTH__JWT_ISSUER", "API__SECRET_KEY"):
        assert len({services[one].environment[f"AIRFLOW__{name}"] for one in AIRFLOW}) == 1


def test_security_is_on(services):
    """Elasticsearch asks everybody who he is; PostgreSQL trusts nobody, not even on its own socket."""
    assert services["elasticsearch"].environment["xpack.security.enabled"] == "true"
    assert services["postgres"].environment["POSTGRES_INITDB_ARGS"] == "--auth=scram-sha-256"
    assert "ALL_ADMINS" not in FILE.read_text()


def test_no_password_is_an_argument(services, values):
    """Arguments stand in the list of processes."""
    for one in services.values():
        said = " ".join((*one.command, *(one.health.test if one.health else ())))
        assert not [name for name in passwords.NAMES if values[name] in said], one.name
    assert "--user" not in " ".join(services["elasticsearch"].health.test)


def test_the_writer_writes_veille_and_nothing_else():
    """And who reads in Kibana only reads."""
    roles = json.loads(accounts.ROLES.read_text())
    writer, reader = roles["veille-writer"], roles["veille-reader"]

    assert [one["names"] for role in (writer, reader) for one in role["indices"]] == [
        ["veille-*"],
        ["veille-*"],
    ]
    assert writer["cluster"] == ["monitor"]
    assert (reader["cluster"], reader["indices"][0]["privileges"]) == ([], ["read", "view_index_metadata"])
    assert reader["applications"] == [
        {"application": "kibana-.kibana", "privileges": ["space_read"], "resources": ["space:default"]}
    ]


def test_the_image_is_built_from_the_lock_and_runs_without_rights():
    """With hashes, by name only, and as a user who owns nothing but the folders of the volumes."""
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"https?://|index-url|^ADD|^ARG", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (.*)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        ("command: [airflow, scheduler]", "command: airflow scheduler"),
        ("POSTGRES_USER: postgres", "POSTGRES_USER: 5"),
        ("${ELASTIC_PASSWORD:?make up makes it}", "$ELASTIC_PASSWORD"),
        ('"./config:/etc/veille:ro"', '"./config:/etc/veille:rw,z"'),
        ('"/tmp:uid=999,gid=999,mode=0700"', "/tmp"),
        ('"/opt/airflow:uid=10001,gid=10001,mode=0700"', '"/opt/airflow:uid=0,gid=0,mode=0700"'),
        ("passwords: {condition: service_completed_successfully}", "setup: {condition: service_healthy}"),
    ],
)
def test_the_reader_refuses_what_it_does_not_know(spoilt, named, tmp_path, values):
    """Else the tests above would look at half of it. (`spoilt` becomes `named`.)"""
    text = FILE.read_text()
    assert spoilt in text
    changed = text.replace(spoilt, named)
    (tmp_path / "docker-compose.yml").write_text(changed)

    with pytest.raises(compose.ComposeError):
        compose.load(tmp_path / "docker-compose.yml", values)


# --- the secrets


def in_folder(folder, step, **environment):
    command = [sys.executable, "-m", "pipeline.deployment", step]
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=own | environment, capture_output=True, text=True, check=False
    )


def test_passwords_are_made_once_and_shown_once(tmp_path):
    """For their owner alone to read; a second start says nothing, and they stay."""
    first = in_folder(tmp_path, "passwords")
    made = (tmp_path / ".env").read_text()
    second = in_folder(tmp_path, "passwords")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    found = passwords.read(tmp_path / ".env")
    shown = {name for name, value in found.items() if value in first.stdout}
    assert shown == {"AIRFLOW_ADMIN_PASSWORD", "VEILLE_READER_PASSWORD", "ELASTIC_PASSWORD"}
    assert second.stdout == ""
    assert (tmp_path / ".env").read_text() == made
    assert set(found) == set(passwords.NAMES)
    assert len(set(found.values())) == len(found)


def test_they_need_nothing_but_python(tmp_path):
    """`make up` runs on a machine with a container engine and no packages."""
    code = f"""
import sys
import tomllib
sys.path.insert(0, {str(ROOT)!r})
from pipeline.deployment.__main__ import main
assert main(["passwords"]) == 0
print([name for name, found in sys.modules.items() if "site-packages" in str(getattr(found, "__file__", ""))])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("", "is empty"),
        ("changeme", "has 8 characters"),
        ("Kz8vQ2mX4pL", "has 11 characters"),
        ("changeme-changeme-1", "tried first: changeme"),
        ("MotDePasse-2026-xyz", "tried first: motdepasse"),
        ("elastic-Zq83hTrX", "tried first: elastic"),
        ("aaaaaaaaaaaaaaaaaaaa", "different characters"),
        ("Kz8vQ2mX4pL:7s@Fr", "other characters"),
        ("Kz8vQ2mX4pL7s Fr", "other characters"),
    ],
)
@pytest.mark.parametrize("name", ["ELASTIC_PASSWORD", "POSTGRES_PASSWORD"])
def test_weak_passwords_are_refused(values, name, value, named):
    """Named, never shown, with what to do."""
    with pytest.raises(ConfigError, match=named) as caught:
        passwords.check(values | {name: value})
    assert f"{name} " in str(caught.value)
    assert len(value) < 9 or value not in str(caught.value)
    assert "make up" in caught.value.hint


def test_two_accounts_have_two_passwords(values):
    with pytest.raises(ConfigError, match="VEILLE_WRITER_PASSWORD is the same as ELASTIC_PASSWORD"):
        passwords.check(values | {"VEILLE_WRITER_PASSWORD": values["ELASTIC_PASSWORD"]})


def test_short_keys_are_refused(values):
    with pytest.raises(ConfigError, match="KIBANA_ENCRYPTION_KEY has 24 characters; at least 32"):
        passwords.check(values | {"KIBANA_ENCRYPTION_KEY": "Kz8vQ2mX4pL7sFrTb6NcW3yE"})


def test_what_is_made_is_strong(values):
    passwords.check(values)


def test_the_start_is_refused(tmp_path, values):
    """By the step of `make up`, and again by the first service, with the exit code that stops the rest."""
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    (tmp_path / ".env").chmod(0o644)
    readable = in_folder(tmp_path, "passwords")
    (tmp_path / ".env").chmod(0o600)
    weak = values | {"ELASTIC_PASSWORD": "changeme"}
    (tmp_path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in weak.items()))
    by_make, by_service = in_folder(tmp_path, "passwords"), in_folder(tmp_path, "check", **weak)

    assert (readable.returncode, by_make.returncode, by_service.returncode) == (1, 1, 1)
    assert "chmod 600" in readable.stderr
    assert by_make.stderr == by_service.stderr
    assert "ELASTIC_PASSWORD has 8 characters" in by_make.stderr
    assert not [value for value in values.values() if value in by_make.stderr]


def test_an_env_is_never_overwritten(tmp_path):
    passwords.make(tmp_path / ".env")
    with pytest.raises(ConfigError, match="there already"):
        passwords.make(tmp_path / ".env")


def test_an_unknown_step_is_answered_with_those_that_exist(tmp_path):
    done = in_folder(tmp_path, "databses")
    assert done.returncode == 2
    assert "passwords|check|databases|schema|accounts|index" in done.stderr


# --- health checks


def test_health_is_what_the_answer_says():
    """A page answers; a component must be called healthy; nobody at the port is not healthy."""
    said = {"scheduler": {"status": "healthy"}, "triggerer": {"status": None}}
    table = {
        "/json": lambda talk: talk.answer(body=json.dumps(said).encode()),
        "/page": lambda talk: talk.answer(body=b"<html>"),
        "/gone": lambda talk: talk.answer("503 Service Unavailable"),
    }
    with Server(routes(table)) as served:
        page, answer, gone = (f"http://127.0.0.1:{served.port}/{name}" for name in ("page", "json", "gone"))
        assert health.healthy(page)
        assert health.healthy(answer, "scheduler")
        asked = [(answer, "triggerer"), (answer, "dag_processor"), (page, "scheduler"), (gone, "")]
        assert [health.healthy(*one) for one in asked] == [False] * 4
    assert not health.healthy(page)


DOCKER = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/said"
case "$*" in
  "compose version") exit $LACKS ;;
  "compose ps"*) echo 5ca1ab1e ;;
  wait*) stat -c %a config/sources.yaml >> "$(dirname "$0")/said"; echo $IMPORT ;;
esac
"""
UP = [
    "compose version",
    "compose up --build --detach",
    "compose ps --all --quiet kibana-setup",
    "wait 5ca1ab1e",
]


@pytest.fixture
def up(tmp_path):
    """Says `make up` in the folder of somebody with umask 077; what a stand-in for docker was told."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (tmp_path / "config").mkdir(mode=0o700)
    (tmp_path / "config" / "sources.yaml").touch(mode=0o600)

    def say(*arguments, docker_lacks=0, imported=0):
        own = {"PATH": f"{docker.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["make", "--no-print-directory", "--file", str(ROOT / "Makefile"), *arguments, "up"],
            cwd=tmp_path,
            env=own | {"LACKS": str(docker_lacks), "IMPORT": str(imported)},
            capture_output=True,
            text=True,
            check=False,
        )
        told = (docker.parent / "said").read_text().splitlines() if (docker.parent / "said").exists() else []
        return done, told

    return say


def test_make_up_ends_when_the_dashboards_are_in(up, tmp_path):
    """Secrets first; the files that are mounted can be read by the containers' user."""
    done, told = up()

    assert (done.returncode, told) == (0, [*UP, "644"]), done.stderr
    assert (tmp_path / ".env").exists()
    assert done.stdout.rstrip().splitlines()[-1].startswith("Airflow: http://localhost:8080")


def test_make_up_says_that_the_dashboards_are_not_in(up):
    done, _ = up(imported=1)

    assert done.returncode == 2
    assert "docker compose logs kibana-setup" in done.stdout
    assert "http://localhost:5601" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "docker_lacks", "named"),
    [(["PYTHON="], 0, "Veille needs Python"), ([], 1, "make up needs Docker with Compose")],
)
def test_make_up_starts_nothing_where_something_is_lacking(up, tmp_path, arguments, docker_lacks, named):
    """And says what; no secrets are made that nobody uses."""
    done, told = up(*arguments, docker_lacks=docker_lacks)

    assert done.returncode == 2
    assert named in done.stdout
    assert set(told) <= {"compose version"}
    assert not (tmp_path / ".env").exists()


def test_make_up_starts_nothing_with_weak_secrets(up, tmp_path):
    passwords.make(tmp_path / ".env")
    weak = re.sub("ELASTIC_PASSWORD=.*", "ELASTIC_PASSWORD=changeme", (tmp_path / ".env").read_text())
    (tmp_path / ".env").write_text(weak)
    done, told = up()

    assert (done.returncode, told) == (2, ["compose version"])
    assert "ELASTIC_PASSWORD has 8 characters" in done.stderr


def test_the_image_can_be_read_by_its_user():
    """Also where whoever builds it has files that nobody else may read: COPY keeps their modes."""
    install, final = DOCKERFILE.split("\nFROM ")[-2:]

    assert install.index("RUN chmod -R a+rX /opt/veille") > install.rindex("COPY ")
    assert re.findall(r"^COPY (\S+)", final, re.MULTILINE) == ["--from=install"] * 2
