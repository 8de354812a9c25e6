"""What Kibana gets: made from what people write, right as far as one can tell without it, and sent well."""

import copy
import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from certificates import self_signed
from conftest import ROOT
from hostile_server import Server
from kibana_server import Kibana
from offspring import VEILLE

from pipeline.errors import ConfigError, Permanent, Transient, Unreachable
from pipeline.kibana import checking, importing, objects, rules, source
from pipeline.reading import PAGE_CAP
from pipeline.settings import from_environment

FOLDER = importing.FILE.parent
TEMPLATE = ROOT / "config" / "elasticsearch" / "veille-articles.json"
SECRET = "Znzr-Qe7p-mot-de-passe"


@pytest.fixture(scope="module")
def fields():
    """The fields of our index template."""
    template = json.loads(TEMPLATE.read_text())
    return rules.fields_of(template["template"]["mappings"]["properties"])


@pytest.fixture
def saved():
    """The objects of the file, to be spoilt."""
    return [json.loads(line) for line in importing.FILE.read_text().splitlines()]


def written(objects_):
    return "".join(f"{json.dumps(one)}\n" for one in objects_).encode()


def test_the_file_is_what_its_source_makes():
    """Byte for byte, whoever made it, whenever: `make kibana` after a change of the source."""
    assert importing.FILE.read_bytes() == objects.render(source.load(FOLDER))


def test_the_file_is_right(fields):
    """Every rule of the validator, on the fields of our own index template."""
    assert checking.problems(importing.FILE.read_bytes(), fields) == []


def test_what_people_were_promised_is_there(saved):
    """One data view, saved searches, and the two dashboards with their panels."""
    titles = {one["attributes"]["title"] for one in saved}
    panels = {
        one["attributes"]["title"]: [panel["title"] for panel in json.loads(one["attributes"]["panelsJSON"])]
        for one in saved
        if one["type"] == "dashboard"
    }

    assert {"veille-articles", "Derniers articles"} <= titles
    assert {
        "Articles par jour et par thème",
        "Groupes de presse",
        "Part des reprises",
        "Derniers articles",
    } <= set(panels["La veille"])
    assert panels["Ukraine : garanties de sécurité"] == [
        "Articles par jour",
        "Journaux",
        "Thèmes voisins",
        "Derniers articles",
    ]


def test_no_article_is_too_long_to_be_marked():
    """Kibana has every word that it searches marked in whole texts; a server refuses beyond a million."""
    template = json.loads(TEMPLATE.read_text())["template"]
    assert template["settings"]["index"]["highlight"]["max_analyzed_offset"] > 2 * PAGE_CAP


def view(saved):
    return saved[0]["attributes"]


def dashboard(saved):
    return next(one for one in saved if one["id"] == "veille")


def in_panels(change):
    """Spoil the panels of the first dashboard, which are a string."""

    def spoil(saved):
        attributes = dashboard(saved)["attributes"]
        panels = json.loads(attributes["panelsJSON"])
        change(panels)
        attributes["panelsJSON"] = json.dumps(panels)

    return spoil


def in_chart(change):
    """Spoil the chart that cuts days by topics."""
    return in_panels(lambda panels: change(panels[4]["embeddableConfig"]["attributes"]))


def layer(chart):
    return chart["state"]["datasourceStates"]["formBased"]["layers"]["articles"]


FAULTS = {
    "is there twice": lambda saved: saved.append(copy.deepcopy(saved[0])),
    "coreMigrationVersion 9.3.2 is above": lambda saved: saved[0].update(coreMigrationVersion="9.3.2"),
    "typeMigrationVersion 10.3.0 is above": lambda saved: dashboard(saved).update(
        typeMigrationVersion="10.3.0"
    ),
    "expected a index-pattern": lambda saved: saved[0].update(type="lens"),
    "Kibana knows no colour": lambda saved: dashboard(saved)["attributes"].update(colour="red"),
    "timeFieldName is missing": lambda saved: view(saved).pop("timeFieldName") and view(saved).update(x=1),
    "fields must be a string": lambda saved: view(saved).update(fields=[]),
    "panelsJSON holds no JSON": lambda saved: dashboard(saved)["attributes"].update(panelsJSON="[{"),
    "the index has no field publisher.nom": lambda saved: saved[1]["attributes"]["columns"].append(
        "publisher.nom"
    ),
    "has a format that Kibana does not know": lambda saved: view(saved).update(
        fieldFormatMap='{"url":{"id":"link"}}'
    ),
    "leads to nothing in this file": lambda saved: saved[1]["references"][0].update(id="veille"),
    "indexRefName must name": lambda saved: saved[1]["references"][0].update(name="index"),
    "title is text, which cannot be": lambda saved: saved[1]["attributes"].update(sort=[["title", "desc"]]),
    "has no reference p1:": lambda saved: dashboard(saved)["references"].pop(0),
    "no panel uses the references": in_panels(lambda panels: panels.pop()),
    "panels p1 and p2 overlap": in_panels(lambda panels: panels[1]["gridData"].update(x=11)),
    "panel p4 stands outside": in_panels(lambda panels: panels[3]["gridData"].update(w=13)),
    "gridData.i is p9": in_panels(lambda panels: panels[0]["gridData"].update(i="p9")),
    "panel: Kibana knows no colour": in_panels(lambda panels: panels[0].update(colour="red")),
    "version 9.3.2 is above": in_panels(lambda panels: panels[0].update(version="9.3.2")),
    "type map is neither": in_panels(lambda panels: panels[0].update(type="map")),
    "state must be an object": in_chart(lambda chart: chart.update(state=json.dumps(chart["state"]))),
    "has no formBased layer": in_chart(
        lambda chart: chart["state"].update(datasourceStates={"indexpattern": {"layers": {}}})
    ),
    "has no reference to its data view": in_chart(lambda chart: chart["references"].clear()),
    "accessor jour is no column": in_chart(
        lambda chart: chart["state"]["visualization"]["layers"][0].update(xAccessor="jour")
    ),
    "column split is not drawn": in_chart(
        lambda chart: chart["state"]["visualization"]["layers"][0].pop("splitAccessor")
    ),
    "seriesType pie: not known": in_chart(
        lambda chart: chart["state"]["visualization"]["layers"][0].update(seriesType="pie")
    ),
    "columnOrder must name every": in_chart(lambda chart: layer(chart)["columnOrder"].pop()),
    "buckets before the measures": in_chart(lambda chart: layer(chart)["columnOrder"].reverse()),
    "operation median is none of": in_chart(
        lambda chart: layer(chart)["columns"]["measure"].update(operationType="median")
    ),
    "text, which cannot be counted": in_chart(
        lambda chart: layer(chart)["columns"]["split"].update(sourceField="text")
    ),
    "topics.id is no date": in_chart(
        lambda chart: layer(chart)["columns"]["day"].update(sourceField="topics.id")
    ),
    "which is no column": in_chart(
        lambda chart: layer(chart)["columns"]["split"]["params"]["orderBy"].update(columnId="n")
    ),
    "only where there is an otherBucket": in_chart(
        lambda chart: layer(chart)["columns"]["split"]["params"].update(otherBucket=False)
    ),
    "the index has no field sujet": in_chart(
        lambda chart: chart["state"].update(query={"query": 'sujet : "a"', "language": "kuery"})
    ),
    "language lucene is not kuery": in_chart(
        lambda chart: chart["state"].update(query={"query": "", "language": "lucene"})
    ),
}


@pytest.mark.parametrize("named", FAULTS)
def test_a_fault_is_named(named, saved, fields):
    """Each rule of the validator, broken once."""
    FAULTS[named](saved)

    assert named in "\n".join(checking.problems(written(saved), fields))


def test_a_line_that_is_no_json_is_named(fields):
    assert "line 1 is not JSON" in checking.problems(b"{\n", fields)[0]


@pytest.fixture
def folder(tmp_path):
    """A copy of the source, to be spoilt."""
    for path in FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("per_day: {top", "per_week: {top", "per_week"),
        (
            "ranking: {field: publisher.name",
            "search: x\n    ranking: {field: publisher.name",
            "ranking and search",
        ),
        (
            "search: veille-derniers-articles",
            "search: veille-derniere",
            "there is no search 'veille-derniere'",
        ),
        ("number: {unique: publisher.name}", "number: {unique: a, count: b}", "expected count or unique"),
        ("size: 10, others: true", "size: 10, others: false", "missing needs others"),
        ("shares: true, top: {field: completeness, label: Texte, size: 5}", "shares: true", "top or filters"),
        ("at: {x: 0, y: 0, w: 12, h: 6}", "at: {x: 0, y: 0, w: 12}", "h"),
    ],
)
def test_a_source_that_is_wrong_is_named_with_its_line(folder, old, new, named):
    path = folder / "dashboard-veille.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))

    with pytest.raises(ConfigError, match=r"dashboard-veille\.yaml:\d+: panels\[\d+\]") as caught:
        source.load(folder)
    assert named in str(caught.value)
    assert "make kibana" in caught.value.hint


def test_a_folder_without_dashboards_is_refused(folder):
    for path in folder.glob("dashboard-*.yaml"):
        path.unlink()
    with pytest.raises(ConfigError, match="no dashboard"):
        source.load(folder)


def settings(kibana, **changes):
    names = {"VEILLE_KIBANA_USER": kibana.user, "VEILLE_KIBANA_PASSWORD": kibana.password}
    return from_environment(names | changes)


@pytest.fixture
def kibana():
    with Kibana(password=SECRET) as served:
        yield served


def test_all_objects_are_imported_again_and_again(kibana, saved):
    """As Kibana documents it: a form with one file, kbn-xsrf, overwrite."""
    assert importing.send(kibana.url, settings(kibana)) == len(saved)
    assert importing.send(f"{kibana.url}/", settings(kibana)) == len(saved)
    assert kibana.imported == {(one["type"], one["id"]): one for one in saved}
    assert kibana.requests == ["/api/saved_objects/_import?overwrite=true"] * 2


def test_a_space_of_kibana_may_be_named(kibana):
    """Its path stands before the API's; the server here knows none and says so."""
    with pytest.raises(ConfigError, match="404"):
        importing.send(f"{kibana.url}/s/presse", settings(kibana))
    assert kibana.requests == ["/s/presse/api/saved_objects/_import?overwrite=true"]


def test_a_success_without_success_is_none(kibana, tmp_path, saved):
    """Kibana answers 200 to an import in which objects failed."""
    file = tmp_path / "without.ndjson"
    file.write_bytes(written(saved[1:]))

    with pytest.raises(Permanent, match=r"refuses \d+ of the objects, so it took none") as caught:
        importing.send(kibana.url, settings(kibana), file)
    assert kibana.imported == {}
    assert "missing_references (index-pattern veille-articles)" in str(caught.value)


IN_PART = {"success": True, "errors": [{"type": "search", "id": "a", "error": {"type": "conflict"}}]}


@pytest.mark.parametrize(
    ("answer", "error", "named"),
    [
        ((403, b'{"message":"Forbidden: unable to bulk_create"}'), ConfigError, "may not write"),
        ((404, b"<html>nginx</html>"), ConfigError, "no JSON"),
        ((200, b"<html>Bienvenue</html>"), ConfigError, "no JSON"),
        ((200, b'{"version":9}'), ConfigError, "answers 200"),
        ((200, b"[]"), ConfigError, "answers 200"),
        ((302, b""), ConfigError, "302"),
        ((400, b'{"message":"Invalid file extension"}'), ConfigError, "Invalid file extension"),
        ((503, b"Kibana server is not ready yet"), Transient, "not ready"),
        ((200, json.dumps(IN_PART).encode()), Permanent, r"the others may be in:\n  search a: conflict"),
    ],
)
def test_every_other_answer_is_one_clear_error(kibana, answer, error, named):
    kibana.answer = answer

    with pytest.raises(error, match=named) as caught:
        importing.send(kibana.url, settings(kibana))
    assert caught.value.hint


def test_a_wrong_password_is_said(kibana):
    with pytest.raises(ConfigError, match="refuses user and password") as caught:
        importing.send(kibana.url, settings(kibana, VEILLE_KIBANA_PASSWORD="another"))
    assert "VEILLE_KIBANA_PASSWORD" in caught.value.hint


def test_a_server_that_is_away_is_said():
    with Server() as server:
        port = server.port
    with pytest.raises(Unreachable, match="does not answer"):
        importing.send(f"http://127.0.0.1:{port}", from_environment({}))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5601", "file:///etc/passwd", f"http://elastic:{SECRET}@127.0.0.1:1"]
)
def test_an_address_that_is_none_is_refused(url):
    """So is one with a password, which would stand in logs and in the list of processes."""
    with pytest.raises(ConfigError, match="address") as caught:
        importing.send(url, from_environment({}))
    assert SECRET not in str(caught.value)


def test_a_certificate_is_checked(tmp_path):
    """Of an unknown authority: refused, and the way out named; with VEILLE_KIBANA_CA it is trusted."""
    ca = self_signed(tmp_path / "kibana.pem", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca)
    with Kibana(password=SECRET, wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as kibana:
        with pytest.raises(ConfigError, match="certificate") as caught:
            importing.send(kibana.url, settings(kibana))
        assert "VEILLE_KIBANA_CA" in caught.value.hint
        assert importing.send(kibana.url, settings(kibana, VEILLE_KIBANA_CA=str(ca)))


@pytest.mark.slow
def test_the_command_imports_and_keeps_the_password(kibana, tmp_path):
    """What people type; a failure is one message, and the password is in neither output nor log."""

    def run(password):
        environment = {
            "VEILLE_HOME": str(tmp_path),
            "VEILLE_KIBANA_USER": kibana.user,
            "VEILLE_KIBANA_PASSWORD": password,
            "VEILLE_LOG_LEVEL": "debug",
        }
        command = [*VEILLE, "kibana", "import", kibana.url]
        return subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
        )

    done, failed = run(SECRET), run(f"{SECRET}-wrong")

    assert (done.returncode, failed.returncode) == (0, 1)
    assert "Kibana took 7 objects" in done.stdout
    assert "refuses user and password" in failed.stderr
    said = [done.stdout, done.stderr, failed.stdout, failed.stderr]
    logs = [path.read_text() for path in Path(tmp_path).rglob("*.log*")]
    assert not any(SECRET in text for text in [*said, *logs])
