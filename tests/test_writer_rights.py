"""What the writer's and the reader's accounts may do, with the roles as shipped: enough, and no more."""

import json

import pytest
import shelves
from conftest import ROOT
from draining import assert_whole

from pipeline.errors import ConfigError
from pipeline.stages import index
from pipeline.store import articles

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

ROLES = ROOT / "config" / "elasticsearch" / "roles.json"
PASSWORD = "s3cret-s3cret"


@pytest.fixture
def accounts(engine):
    """A user for each of the shipped roles, by the name of the role."""
    if not ROLES.exists():
        pytest.skip(f"{ROLES.name} is not there: it comes with the stack")
    security = engine.connection().ask.security
    users = {}
    for role, rights in json.loads(ROLES.read_text(encoding="utf-8")).items():
        users[role] = f"{engine.name}-{role}"
        security.put_role(name=users[role], **rights)
        security.put_user(username=users[role], password=PASSWORD, roles=[users[role]])
    yield users
    for name in users.values():
        security.delete_user(username=name)
        security.delete_role(name=name)


@pytest.fixture
def as_user(accounts, open_on_server, on_server):
    """Opens the library as the user of a role; somebody else has set it up."""

    def opened(role):
        return open_on_server(index_user=accounts[role], index_password=PASSWORD)

    return opened


def test_the_writer_may_do_all_daily_work(as_user, engine):
    """Write, delete, make the index of a year, rebuild, compare, mend; one template serves all."""
    runtime = as_user("veille-writer")
    index.ensure(runtime)
    shelves.fill(runtime, 100)
    assert index.drain(runtime, "run") == 100
    with runtime.store.transaction("merge") as tx:
        [first, second, third] = articles.all_ids(tx, after=0, limit=3)
        articles.merge(tx, second, into=first)
        articles.touch(tx, [first, second], now=runtime.now())
    assert index.drain(runtime, "run") == 2
    assert index.rebuild(runtime) == 99
    admin = engine.connection().ask
    for name in admin.indices.get_alias(name=engine.name).body:
        admin.options(ignore_status=404).delete(index=name, id=str(third))
    assert index.reconcile(runtime, "reconcile").mended == {"missing": 1}
    assert index.figures(runtime).explained
    assert_whole(runtime, 99)


def test_the_writer_may_do_no_more(as_user, engine):
    """Neither change the template nor touch what is not Veille's."""
    runtime = as_user("veille-writer")
    with pytest.raises(ConfigError, match="may not do this"):
        runtime.index.setup()
    client = runtime.index._connection.ask
    for use in (
        lambda: client.index(index="other-notes", document={"a": 1}),
        lambda: client.search(index="other-notes"),
        client.security.get_user,
    ):
        with pytest.raises(ConfigError), runtime.index._connection.translated():
            use()


def test_the_reader_may_only_read(as_user, on_server):
    shelves.fill(on_server, 10)
    index.drain(on_server, "run")
    runtime = as_user("veille-reader")
    assert runtime.index.search("port").total == runtime.index.count() == 10
    shelves.all_again(runtime)
    with pytest.raises(ConfigError, match="may not do this"):
        index.drain(runtime, "run")
    with pytest.raises(ConfigError, match="may not do this"):
        runtime.index.begin_rebuild()
