"""The accounts of the stack on real servers: each may do its own work and nothing else (promise D3)."""

import base64
import json
import shutil
import tempfile
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest
from rehearsal import stores
from rehearsal.compose import ComposeError, Health, Service
from rehearsal.world import World

from pipeline.deployment import accounts
from pipeline.errors import ConfigError, Unreachable
from pipeline.store import databases

SECRETS = {name: f"{name}-{uuid.uuid4().hex}" for name in ("writer", "reader", "kibana")}
OFTEN = Health((), interval=1, timeout=5, retries=60, start_period=0)
SETTING = {"persistent": {"action.destructive_requires_name": "false"}}
ARTICLES, FOREIGN = "veille-accounts-test", "somebody-elses-accounts-test"


def ask(server, method, path, user, password, body=None):
    """The status of a request, and its answer."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(
        server.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module")
def cluster(elasticsearch_server):
    """A server with our accounts, made twice, and an index of somebody else's."""
    address = elasticsearch_server
    superuser = accounts.Server(address.url, address.user, address.password)
    for _ in range(2):
        accounts.make(superuser, **SECRETS)
    ask(address, "PUT", f"/{FOREIGN}", address.user, address.password)
    yield address
    for name in (ARTICLES, f"{ARTICLES}-2", FOREIGN):
        ask(address, "DELETE", f"/{name}", address.user, address.password)


def as_(cluster, who, method, path, body=None):
    user = accounts.KIBANA if who == "kibana" else f"veille-{who}"
    return ask(cluster, method, path, user, SECRETS[who], body)[0]


@pytest.mark.elasticsearch
@pytest.mark.slow
def test_the_writer_writes_veille_and_nothing_else(cluster):
    """It makes, fills, swaps and deletes indices of Veille's; all others, users and templates are closed."""
    swap = {"actions": [{"add": {"index": f"{ARTICLES}-2", "alias": ARTICLES}}]}
    own = [
        as_(cluster, "writer", "PUT", f"/{ARTICLES}-2"),
        as_(cluster, "writer", "POST", "/_aliases", swap),
        as_(cluster, "writer", "POST", f"/{ARTICLES}/_doc?refresh=true", {"title": "Un article"}),
        as_(cluster, "writer", "GET", f"/{ARTICLES}/_search"),
        as_(cluster, "writer", "GET", "/_cluster/health"),
        as_(cluster, "writer", "DELETE", f"/{ARTICLES}-2"),
    ]
    others = [
        as_(cluster, "writer", "PUT", f"/{FOREIGN}-2"),
        as_(cluster, "writer", "POST", f"/{FOREIGN}/_doc", {"title": "x"}),
        as_(cluster, "writer", "GET", f"/{FOREIGN}/_search"),
        as_(cluster, "writer", "DELETE", f"/{FOREIGN}"),
        as_(cluster, "writer", "PUT", "/_security/user/mine", {"password": "x" * 12, "roles": ["superuser"]}),
        as_(cluster, "writer", "PUT", "/_index_template/mine", {"index_patterns": ["mine-*"]}),
        as_(cluster, "writer", "PUT", "/_cluster/settings", SETTING),
    ]

    assert own == [200, 200, 201, 200, 200, 200]
    assert others == [403] * len(others)


@pytest.mark.elasticsearch
@pytest.mark.slow
def test_the_reader_reads(cluster):
    """And neither writes, deletes, nor looks elsewhere."""
    as_(cluster, "writer", "PUT", f"/{ARTICLES}")
    as_(cluster, "writer", "POST", f"/{ARTICLES}/_doc?refresh=true", {"title": "Un article"})

    assert as_(cluster, "reader", "GET", f"/{ARTICLES}/_search") == 200
    assert [
        as_(cluster, "reader", "POST", f"/{ARTICLES}/_doc", {"title": "x"}),
        as_(cluster, "reader", "DELETE", f"/{ARTICLES}"),
        as_(cluster, "reader", "PUT", "/veille-mine"),
        as_(cluster, "reader", "GET", f"/{FOREIGN}/_search"),
        as_(cluster, "reader", "GET", "/_cluster/health"),
    ] == [403] * 5


@pytest.mark.elasticsearch
@pytest.mark.slow
def test_kibana_logs_in_with_its_own_password(cluster):
    status, answer = ask(cluster, "GET", "/_security/_authenticate", accounts.KIBANA, SECRETS["kibana"])

    assert (status, answer["roles"]) == (200, ["kibana_system"])


@pytest.mark.elasticsearch
@pytest.mark.slow
def test_a_wrong_superuser_is_said(cluster):
    """With what it means, and without the password."""
    with pytest.raises(ConfigError, match="refuses the superuser's password") as caught:
        accounts.make(accounts.Server(cluster.url, cluster.user, "another-password"), **SECRETS)
    assert "another-password" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ConfigError, match=r"refuses /_security/role/veille-writer \(403\)"):
        accounts.make(accounts.Server(cluster.url, "veille-writer", SECRETS["writer"]), **SECRETS)


def test_a_server_that_is_away_is_said():
    with pytest.raises(Unreachable, match="Elasticsearch does not answer"):
        accounts.make(accounts.Server("http://127.0.0.1:1", "elastic", "x"), **SECRETS)
    with pytest.raises(Unreachable, match="PostgreSQL does not answer"):
        databases.make("postgresql://postgres:x@127.0.0.1:1/postgres", ())


# --- PostgreSQL, with passwords, as its image runs it


@pytest.fixture(scope="module")
def postgres():
    """A server of the rehearsal's; the URL of its superuser."""
    folder = Path(tempfile.mkdtemp(prefix="veille-test-"))
    folder.chmod(0o711)  # root's server runs as somebody else
    (folder / "logs").mkdir()
    environment = {
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "superuser-password",
        "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256",
    }
    service = Service("postgres", "postgres:18.4", ("postgres",), environment, {}, None, (), (), {})
    world = World(folder, ["postgres"])
    running, asking = stores.postgresql(service, world)
    try:
        running.await_health(OFTEN, ["/bin/sh", "-c", "pg_isready --quiet --host 127.0.0.1"], asking)
        yield f"postgresql://postgres:superuser-password@127.0.0.1:{world.port('5432')}/postgres"
    finally:
        running.stop()
        shutil.rmtree(folder)


def login(url, database, name, password):
    import psycopg

    port = url.rpartition(":")[2].partition("/")[0]
    with psycopg.connect(
        f"postgresql://{name}:{password}@127.0.0.1:{port}/{database}", autocommit=True
    ) as connection:
        return connection.execute("select current_user").fetchone()[0]


@pytest.mark.slow
def test_each_database_has_an_owner_that_sees_no_other(postgres):
    """Made twice, the second time with another password, which then holds."""
    import psycopg

    owned = tuple(databases.Owned(name, f"{name}-first-password") for name in ("veille", "airflow"))
    databases.make(postgres, owned)
    databases.make(postgres, (databases.Owned("veille", "veille-second-password"),))

    assert login(postgres, "veille", "veille", "veille-second-password") == "veille"
    assert login(postgres, "airflow", "airflow", "airflow-first-password") == "airflow"
    for database, name, password in (
        ("veille", "veille", "veille-first-password"),
        ("airflow", "veille", "veille-second-password"),
        ("veille", "airflow", "airflow-first-password"),
        ("veille", "veille", ""),
    ):
        with pytest.raises(psycopg.OperationalError):
            login(postgres, database, name, password)


@pytest.mark.slow
def test_no_owner_may_make_others(postgres):
    import psycopg

    databases.make(postgres, (databases.Owned("veille", "veille-second-password"),))
    port = postgres.rpartition(":")[2].partition("/")[0]
    with psycopg.connect(
        f"postgresql://veille:veille-second-password@127.0.0.1:{port}/veille", autocommit=True
    ) as connection:
        connection.execute("create table own ()")
        for statement in ("create database other", "create role other", "alter role veille superuser"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.slow
def test_a_wrong_superuser_of_postgresql_is_said(postgres):
    wrong = postgres.replace("superuser-password", "another-password")
    with pytest.raises(ConfigError, match="refuses the superuser's password") as caught:
        databases.make(wrong, ())
    assert "another-password" not in f"{caught.value} {caught.value.hint}"


def test_the_rehearsal_fails_on_a_variable_that_it_does_not_know(tmp_path):
    """Else it would pass over what the image does with it."""
    for store, name in (
        (stores.postgresql, "POSTGRES_HOST_AUTH_METHOD"),
        (stores.elasticsearch, "BOOTSTRAP"),
    ):
        service = Service("store", "store:1", ("postgres",), {name: "x"}, {}, None, (), (), {})
        with pytest.raises(ComposeError, match=name):
            store(service, World(tmp_path, ["store"]))
