"""What only the index on a server promises: years, generations, many writers, and what goes wrong with it."""

import contextlib
import datetime as dt
import http.server
import json
import random
import ssl
import threading
from dataclasses import replace

import pytest
from faultproxy import FaultProxy
from invented import PARIS, document

from pipeline.errors import ConfigError, EngineTrouble, NotFound, VeilleError
from pipeline.model import Tombstone
from pipeline.search import REBUILD, Verdicts, rebuild
from pipeline.search.elasticsearch.generations import TEMPLATE, Generations
from pipeline.search.elasticsearch.index import ElasticsearchIndex

pytestmark = pytest.mark.elasticsearch

LAST_OF_2024 = dt.datetime(2024, 12, 31, 23, 59, tzinfo=PARIS)
FIRST_OF_2025 = dt.datetime(2025, 1, 1, 0, 0, tzinfo=PARIS)


@pytest.fixture
def index(engine):
    opened = engine.open()
    opened.setup()
    opened.finish_rebuild(opened.begin_rebuild())
    yield opened
    opened.close()


def indices(engine):
    """The indices behind the alias, by year."""
    found = engine.connection().ask.indices.get_alias(name=engine.name).body
    return {name.split("-")[-2]: name for name in found}


# Years and generations


def test_the_year_in_which_it_was_first_seen_chooses_the_index(engine, index):
    """By the calendar of Paris, whenever it is written and however often."""
    old, new = (
        document("old", title="gaz", first_seen=LAST_OF_2024),
        document("new", title="gaz", first_seen=FIRST_OF_2025),
    )
    for version in (1, 2, 3):
        index.put([replace(old, version=version), replace(new, version=version)])
    index.refresh()

    client, years = engine.connection().ask, indices(engine)
    assert {"2024", "2025"} <= years.keys()
    for year, id_ in (("2024", "old"), ("2025", "new")):
        assert [hit["_id"] for hit in client.search(index=years[year])["hits"]["hits"]] == [id_]
    assert index.search("gaz").total == index.count() == 2
    index.delete([Tombstone("old", 4, LAST_OF_2024), Tombstone("new", 4)])
    assert index.versions() == {}


def test_a_late_stale_write_stays_out_after_a_deletion(index):
    """Also where the index of that year is made for the deletion alone."""
    index.delete([Tombstone("a", 6, LAST_OF_2024)])

    assert index.put([document("a", version=5, title="gaz", first_seen=LAST_OF_2024)]) == Verdicts()
    assert index.versions() == {}
    index.put([document("a", version=7, title="gaz", first_seen=LAST_OF_2024)])
    assert index.versions() == {"a": 7}


def test_four_writers_replay_everything_twice_in_any_order(engine, index):
    log = [
        document(str(i % 40), version=i // 40 + 1, title=f"mot{i}", first_seen=LAST_OF_2024)
        for i in range(400)
    ]
    log += [Tombstone(str(i), 11, LAST_OF_2024) for i in range(0, 40, 4)]

    def write(seed):
        own = engine.open()
        mine = log * 2
        random.Random(seed).shuffle(mine)
        for start in range(0, len(mine), 17):
            batch = mine[start : start + 17]
            own.put([one for one in batch if not isinstance(one, Tombstone)])
            own.delete([one for one in batch if isinstance(one, Tombstone)])
        own.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert index.versions() == {str(i): 10 for i in range(40) if i % 4}
    assert index.search("mot399").total == 1
    assert index.search(" OR ".join(f"mot{i}" for i in range(360))).total == 0


def test_a_search_that_the_swap_breaks_off_looks_again(engine, index):
    """The generation that it had begun to look into is removed under it."""
    index.put([document(str(i), title="gaz") for i in range(20)])
    index.refresh()
    old = indices(engine)
    asked = engine.open()
    asked.search("gaz")
    client, looks = engine.connection().ask, []

    def look():
        looks.append(1)
        if len(looks) == 1:
            return client.search(index=",".join(old.values())).body["hits"]["total"]["value"]
        return asked.count()

    rebuild(
        index,
        iter([[document(str(i), title="gaz") for i in range(20)]]),
        alone=contextlib.nullcontext,
        writing=contextlib.nullcontext,
    )
    assert asked._looked_up(look) == 20
    assert len(looks) == 2


def test_only_the_live_generation_stays_and_nothing_of_others_is_touched(engine, index):
    client = engine.connection().ask
    other = f"{engine.name}-notes"
    client.indices.create(index=other, mappings={"properties": {}})
    index.begin_rebuild()
    index.finish_rebuild(index.begin_rebuild())

    left = set(client.indices.get(index=f"{engine.name}-*").body)
    assert left == {other, *indices(engine).values()}


def test_a_late_writer_brings_no_generation_back(engine, index):
    """One that has lost its lock, and looked for the indices before the swap and makes one after it."""
    late = engine.open()
    [target] = late._generations.targets()
    index.finish_rebuild(index.begin_rebuild())

    with pytest.raises(EngineTrouble, match="was replaced"):
        late._generations.index_of(target, 1999)
    late.close()
    assert "1999" not in indices(engine)


def test_what_stands_in_a_generation_that_came_back_is_seen_and_can_be_deleted(engine, index):
    """And nothing more is written there."""
    index.put([document("a", title="gaz"), document("b", title="gaz")])
    client = engine.connection().ask
    dead = f"{engine.name}-2025-20200101t000000000000"
    client.indices.create(index=dead, aliases={engine.name: {}})
    client.index(index=dead, id="a", document={"id": "a", "copies": 0, "publisher": {}})
    index.put([document("c", title="gaz")])

    assert index.versions() == {"a": 1, "b": 1, "c": 1}
    assert index.doubled() == {"a"}
    index.delete([Tombstone("a", 5)])
    index.put([document("a", version=6, title="gaz")])
    assert index.doubled() == set()
    assert index.count() == 3
    index.finish_rebuild(index.begin_rebuild())
    assert dead not in client.indices.get(index=f"{engine.name}-*").body


def test_nobody_makes_an_index_by_writing(engine, index):
    """A writer that is late with its batch must not bring a removed generation back."""
    client = engine.connection().ask
    answer = client.bulk(
        operations=[{"index": {"_index": f"{engine.name}-2030-x", "_id": "a"}}, {"title": "gaz"}]
    )
    assert answer["items"][0]["index"]["status"] == 404


# Refusals


def test_only_the_poison_is_refused_and_all_text_is_kept(index):
    """With the engine's reason. A keyword that is too long is kept; only it is not found."""
    text = "gaz " + "mot " * 1_300_000  # 5 MB, more than a request may hold
    poison = [
        document("x" * 513, title="gaz"),
        document("number", title="gaz", words=1 << 40),
        document("copies", title="gaz", copies=1 << 33),
        document("half", title="gaz \ud800"),
    ]
    good = [document(f"good-{i}", title="gaz") for i in range(500)]
    good += [document("long", title="gaz", section="s" * 33_000), document("huge", title="gaz", text=text)]
    mixed = good[:250] + poison + good[250:]

    verdicts = index.put(mixed)

    assert verdicts.later == ()
    assert {refusal.id for refusal in verdicts.refused} == {document.id for document in poison}
    reasons = {refusal.id: refusal.reason for refusal in verdicts.refused}
    assert "out of range" in reasons["number"]
    assert index.versions().keys() == {document.id for document in good}
    [huge] = [result for result in index.search("gaz", limit=1000).results if result.id == "huge"]
    source = index._connection.ask.search(index=index.name, query={"term": {"id": "huge"}})["hits"]["hits"][0]
    assert source["_source"]["text"] == text
    assert huge.title == "gaz"


def test_a_proxy_that_takes_little_gets_little(engine, index):
    """Batches are halved until they pass; what is too large alone is refused with the reason."""

    class Small(FaultProxy):
        async def _pass(self, asked):
            if len(asked.body) > 20_000:
                return await self._say(asked.writer, "413 Content Too Large", b"", kind="text/html")
            return await super()._pass(asked)

    with Small(engine.address.url) as proxy:
        through = engine.open(url=proxy.url)
        documents = [document(str(i), title="gaz", text="mot " * 1_000) for i in range(30)]
        verdicts = through.put([*documents, document("huge", text="mot " * 10_000)])
        through.close()

    assert [refusal.id for refusal in verdicts.refused] == ["huge"]
    assert "takes no request of" in verdicts.refused[0].reason
    assert len(index.versions()) == 30


# What goes wrong, and the next command


def refusal(index, use=lambda index: index.count()):
    with pytest.raises(VeilleError) as found:
        use(index)
    index.close()
    assert "s3cret" not in f"{found.value}{found.value.hint}{found.value.__cause__}"
    return type(found.value), str(found.value), found.value.hint


def test_nobody_listens(engine):
    kind, said, hint = refusal(engine.open(url="http://127.0.0.1:9"))
    assert (kind, said) == (
        EngineTrouble,
        "the search server at http://127.0.0.1:9 does not answer: Connection refused",
    )
    assert "VEILLE_INDEX_URL" in hint


def test_a_wrong_password(engine):
    kind, said, hint = refusal(engine.open(password="s3cret"))
    assert kind is ConfigError
    assert said == f"the search server at {engine.address.url} refuses the password of 'admin'"
    assert hint == "set VEILLE_INDEX_USER and VEILLE_INDEX_PASSWORD"


def test_no_password(engine):
    _, said, hint = refusal(engine.open(user=""))
    assert said == f"the search server at {engine.address.url} asks for a user"
    assert hint == "set VEILLE_INDEX_USER and VEILLE_INDEX_PASSWORD"


# What a server of version 8 answers to a client of version 9, written after its documentation: none was run.
OF_8 = {
    "error": {
        "root_cause": [
            {
                "type": "media_type_header_exception",
                "reason": "Invalid media-type value on headers [Accept]",
            }
        ],
        "type": "media_type_header_exception",
        "reason": "Invalid media-type value on headers [Accept]",
        "caused_by": {
            "type": "status_exception",
            "reason": "Accept version must be either version 8 or 7, but found 9. "
            "Accept=application/vnd.elasticsearch+json; compatible-with=9",
        },
    },
    "status": 400,
}


@contextlib.contextmanager
def answering(status, body, **headers):
    """A server that answers everything so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_GET  # noqa: N815  the library's names

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_of_another_major_version(engine):
    with answering(400, json.dumps(OF_8).encode(), Content_Type="application/json") as url:
        kind, said, hint = refusal(engine.open(url=url))
    assert kind is ConfigError
    assert said.startswith(f"the server at {url} is no Elasticsearch 9: ")
    assert "but found 9" in said
    assert hint == "use a server of version 9, or the Veille that was made for it"


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("body", "kind"), [(b"<html>Hello</html>", "text/html"), (b"{}", "application/json")]
)
def test_something_else_listens(engine, status, body, kind):
    with answering(status, body, Content_Type=kind) as url:
        found, said, hint = refusal(engine.open(url=url))
    assert found is ConfigError
    assert said == f"what answers at {url} is no Elasticsearch"
    assert "VEILLE_INDEX_URL" in hint


def test_a_certificate_that_nobody_trusts(engine, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultProxy(engine.address.url, tls=context) as proxy:
        kind, said, hint = refusal(engine.open(url=proxy.url))
        trusted = engine.open(url=proxy.url, ca=str(certificate))
        missing = refusal(trusted)
    assert kind is ConfigError
    assert said.startswith(f"the certificate of the search server at {proxy.url} is not to be trusted: ")
    assert "VEILLE_INDEX_CA" in hint
    assert missing[0] is NotFound


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "veille-tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_there_is_no_index(engine):
    assert refusal(engine.open()) == (
        NotFound,
        f"there is no search index in {engine.address.url}",
        REBUILD,
    )


# What a server says that has as many shards as it may, written after its documentation: none was so full.
FULL = "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000]"
FULL += " maximum normal shards open;"


def test_the_server_may_have_no_more_shards(engine):
    cause = {"type": "validation_exception", "reason": FULL}
    body = {"error": {**cause, "root_cause": [cause]}, "status": 400}
    kinds = {"Content_Type": "application/json", "X_Elastic_Product": "Elasticsearch"}
    with answering(400, json.dumps(body).encode(), **kinds) as url:
        kind, said, hint = refusal(engine.open(url=url), lambda index: index.begin_rebuild())
    assert kind is EngineTrouble
    assert said.startswith(f"the search server at {url} has as many shards as it may: Validation Failed")
    assert "cluster.max_shards_per_node" in hint


def test_two_indices_with_names_that_begin_alike(engine, index):
    """The template of each would make the indices of the other."""
    longer = ElasticsearchIndex(engine.connection(), f"{engine.name}-notes")
    kind, said, hint = refusal(longer, lambda longer: longer.setup())
    assert kind is ConfigError
    assert said.endswith(f"begin alike: {engine.name}")
    assert "VEILLE_INDEX_NAME" in hint


def test_an_index_that_somebody_else_made_is_not_deleted(engine, index):
    """By another template, in the moment in which a writer wants to make it."""
    client = engine.connection().ask
    [target] = index._generations.targets()
    name = f"{engine.name}-1999-{target.generation}"
    client.indices.delete_index_template(name=engine.name)
    client.indices.create(index=name)
    with pytest.raises(ConfigError, match="is none of Veille's"):
        index._generations.index_of(target, 1999)
    assert client.indices.exists(index=name)
    client.indices.delete(index=name)


def test_there_is_no_template(engine):
    """An index made without it would guess its fields; it does not stay."""
    kind, said, hint = refusal(engine.open(), lambda index: index.begin_rebuild())
    assert kind is ConfigError
    assert (
        said == f"the index template at {engine.address.url} is none of Veille's; this version needs schema 1"
    )
    assert hint.startswith("veille index setup")
    assert not engine.connection().ask.indices.get(index=f"{engine.name}-*").body


def of_schema(engine, tmp_path, version, **changes):
    """A handle of a Veille whose template has another version."""
    body = json.loads(TEMPLATE.read_text())
    body["version"] = body["template"]["mappings"]["_meta"]["version"] = version
    body["template"]["settings"]["analysis"] |= changes
    path = tmp_path / f"{version}.json"
    path.write_text(json.dumps(body))
    connection = engine.connection()
    return ElasticsearchIndex(connection, engine.name, Generations(connection, engine.name, path))


def test_a_template_that_is_older_than_the_code(engine, index, tmp_path):
    newer = of_schema(engine, tmp_path, 2)
    kind, said, hint = refusal(newer, lambda newer: newer.begin_rebuild())
    assert kind is ConfigError
    assert said == f"the index template at {engine.address.url} has schema 1; this version needs schema 2"
    assert hint.startswith("veille index setup")


def test_an_index_of_another_schema_is_replaced_while_it_is_searched(engine, index, tmp_path):
    """The newer version writes the new generation alone; the older one writes nothing that could be lost."""
    index.put([document("a", title="gaz")])
    index.refresh()
    newer = of_schema(engine, tmp_path, 2)
    newer.setup()
    for use in (lambda i: i.search("gaz"), lambda i: i.put([document("b")])):
        with pytest.raises(ConfigError, match="has schema 1; this version needs schema 2") as found:
            use(newer)
        assert found.value.hint == REBUILD

    generation = newer.begin_rebuild()
    assert newer.put([document("a", version=2, title="gaz")]) == Verdicts()
    with pytest.raises(ConfigError, match="has schema 2; this version needs schema 1") as found:
        index.put([document("a", version=3)])
    assert found.value.hint == "install the newer Veille that made it"
    assert index.search("gaz").total == 1
    assert index.versions() == {"a": 1}

    newer.finish_rebuild(generation)
    assert newer.versions() == {"a": 2}
    newer.close()


def test_an_analyser_that_the_server_lacks(engine, tmp_path):
    poor = of_schema(
        engine, tmp_path, 1, analyzer={"fr": {"type": "custom", "tokenizer": "words", "filter": ["no_such"]}}
    )
    kind, said, hint = refusal(poor, lambda poor: poor.setup())
    assert kind is ConfigError
    assert "lacks what the analysis of French needs" in said
    assert "no_such" in said
    assert hint == "use the usual distribution of Elasticsearch 9, then run: veille index setup"


def test_a_user_without_rights_is_told_what_is_missing(engine, index):
    """One that may write veille-* needs no more for daily work, and cannot change the template."""
    client = engine.connection().ask
    role, user = f"{engine.name}-role", f"{engine.name}-user"
    client.security.put_role(name=role, indices=[{"names": ["veille-*"], "privileges": ["all"]}])
    client.security.put_user(username=user, password="s3cret-s3cret", roles=[role])
    try:
        writer = engine.open(user=user, password="s3cret-s3cret")
        writer.put([document("a", title="gaz")])
        writer.refresh()
        assert writer.search("gaz").total == 1
        writer.finish_rebuild(writer.begin_rebuild())
        kind, said, hint = refusal(writer, lambda writer: writer.setup())
        assert kind is ConfigError
        assert f"'{user}' may not do this at {engine.address.url}" in said
        assert hint == "veille index setup, as a user who may manage index templates"
    finally:
        client.security.delete_user(username=user)
        client.security.delete_role(name=role)
