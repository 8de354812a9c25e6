"""The laws of the rule book, and the rules that are shipped."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, NotFound
from pipeline.topics import rulebook
from pipeline.topics.rules import Boost, Evidence, Group, Rule, Veto

SHIPPED = Path(__file__).parent.parent / "config" / "topics"

GOOD = """\
id: moissons
version: 2
label: {fr: Moissons, en: Harvest}
languages: [fr, oc]
all:
  - {name: lieu, terms: ["champ*"]}
any:
  - {name: blé, terms: [blé, maïs], weight: 2, scope: sentence}
  - near: [[prix], [blé, "plan de paix"]]
    within: 4
    ordered: true
none:
  - {terms: ["champ de bataille"], scope: paragraph}
boost: {title: 2}
threshold: 2
examples:
  match:
    - "Les champs de blé"
    - |
      Au champ
      Du maïs au champ.
  no_match:
    - "Le blé"
"""


@pytest.fixture
def load(tmp_path):
    def load(text, **options):
        (tmp_path / "moissons.yaml").write_text(text, encoding="utf-8")
        return rulebook.load(tmp_path, **options)

    return load


def test_a_rule_is_what_its_file_says(load):
    """Every field, and the defaults of the others."""
    [rule] = load(GOOD)

    assert rule == Rule(
        id="moissons",
        version=2,
        label={"fr": "Moissons", "en": "Harvest"},
        languages=("fr", "oc"),
        all=(Group(("champ*",), "lieu"),),
        any=(
            Evidence(("blé", "maïs"), name="blé", weight=2, scope="sentence"),
            Evidence(near=(("prix",), ("blé", "plan de paix")), within=4, ordered=True),
        ),
        none=(Veto(("champ de bataille",), scope="paragraph"),),
        boost=Boost(title=2),
        threshold=2,
        examples=rule.examples,
    )
    assert rule.examples.match == ("Les champs de blé", "Au champ\nDu maïs au champ.\n")


def test_rules_come_by_id(load, tmp_path):
    """Those that are asked for, in the order of their ids; one that no file has is not found."""
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.replace("moissons", name), encoding="utf-8")

    assert [rule.id for rule in load(GOOD)] == ["a", "b", "moissons"]
    assert [rule.id for rule in load(GOOD, ids=["moissons", "a"])] == ["a", "moissons"]
    assert load(GOOD, ids=[]) == ()
    with pytest.raises(NotFound, match="no topic c, d in"):
        load(GOOD, ids=["d", "a", "c"])


def test_a_folder_that_is_not_there(tmp_path):
    """Is a mistake in the settings, not a library without topics."""
    with pytest.raises(ConfigError, match="topics: no such folder") as caught:
        rulebook.load(tmp_path / "topics")
    assert "VEILLE_CONFIG" in caught.value.hint


WRONG = {
    "another file's id": ("id: moissons", "id: recoltes", 1, r"id: found 'recoltes'; expected 'moissons'"),
    "a missing field": ("threshold: 2\n", "", 1, "threshold: "),
    "an unknown field": ("weight: 2", "wieght: 2", 8, r"any\[0\]\.wieght: Unexpected"),
    "an unknown field at the top": ("threshold: 2", "threshold: 2\nseuil: 3", 16, "seuil: Unexpected"),
    "a field twice": ("threshold: 2", "threshold: 2\nversion: 3", 16, "version: found twice"),
    "a word for a number": ("within: 4", "within: near", 10, r"any\[1\]\.within: .*integer"),
    "no list": ("terms: [blé, maïs]", "terms: blé", 8, r"any\[0\]\.terms: "),
    "a number for a term": ("[blé, maïs]", "[blé, 49.3]", 8, r"any\[0\]\.terms\[1\]: .*string"),
    "an unknown scope": ("scope: paragraph", "scope: page", 13, r"none\[0\]\.scope: .*'sentence'"),
    "no evidence": (GOOD[GOOD.index("any:") : GOOD.index("none:")], "any: []\n", 7, "any: empty"),
    "no language": ("[fr, oc]", "[]", 4, "languages: empty"),
    "a threshold of nothing": ("threshold: 2", "threshold: 0", 15, "threshold: found 0.0; expected"),
    "an endless threshold": ("threshold: 2", "threshold: .inf", 15, "threshold: found inf"),
    "no number at all": ("weight: 2", "weight: .nan", 8, r"any\[0\]\.weight: found nan"),
    "no weight": ("weight: 2", "weight: 0", 8, r"any\[0\]\.weight: found 0\.0; expected a number"),
    "a boost below zero": ("{title: 2}", "{title: -2}", 14, r"boost\.title: found -2\.0"),
    "a distance of nothing": ("within: 4", "within: 0", 10, r"any\[1\]\.within: found 0; expected"),
    "a cap of nothing": ("threshold: 2", "threshold: 2\ncap_per_term: 0", 16, "cap_per_term: found 0"),
    "a version of nothing": ("version: 2", "version: 0", 2, "version: found 0; expected at least 1"),
    "a group of nothing": ('terms: ["champ*"]', "terms: []", 6, r"all\[0\]: holds no term"),
    "near nothing": ('[[prix], [blé, "plan de paix"]]', "[[prix]]", 9, r"any\[1\]\.near: expected two lists"),
    "near an empty list": ('[[prix], [blé, "plan de paix"]]', "[[prix], []]", 9, r"any\[1\]\.near: expected"),
    "no word": ('[blé, "plan de paix"]', '[blé, "de la"]', 9, r"near\[1\]\[1\]: 'de la' holds no word"),
    "a short prefix": ('"champ*"', '"mal*"', 6, r"all\[0\]\.terms\[0\]: 'mal\*': at least 4 letters"),
    "a star within": ('"champ*"', '"cham*ps"', 6, r"'cham\*ps': a \* may only end a word"),
    "a star before": ('"champ*"', '"*champ"', 6, r"'\*champ': a \* may only end a word"),
    "an exact prefix": ('["champ*"]', '["champ*"], exact: true', 6, "none of an exact term"),
    "an example that does not match": ("Les champs de blé", "Les champs", 18, r"'Les champs' does not carry"),
    "an example that matches": ("Le blé", "Le champ de blé", 23, r"no_match\[0\]: 'Le champ de blé' carries"),
    "no YAML": ("[fr, oc]", "[fr, oc", 5, "not valid YAML"),
    "a list": (GOOD, "- id: moissons", 1, "file: "),
    "an empty file": (GOOD, "# rien\n", 1, "id: "),
    "a day that is none": ("version: 2", "version: 2024-13-45", 2, "version: found '2024-13-45'; expected"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), WRONG.values(), ids=WRONG)
def test_errors_name_file_line_and_field(load, old, new, line, message):
    """Of what no rule may say."""
    assert GOOD.count(old) == 1

    with pytest.raises(ConfigError, match=rf"moissons\.yaml:{line}: .*{message}"):
        load(GOOD.replace(old, new))


def test_all_that_is_wrong_is_said_at_once(load):
    """Not one mistake a time."""
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace("threshold: 2", "threshold: 0").replace("weight: 2", "weight: 0"))

    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["threshold", "any[0].weight"]
    assert "doctor" in caught.value.hint


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "moissons.yaml").write_bytes(b"\xff\xfe\xfa")

    with pytest.raises(ConfigError, match=r"moissons\.yaml:1: cannot be read: expected text in UTF-8"):
        rulebook.load(tmp_path)


# --- the rules that are shipped


@pytest.mark.parametrize("rule", rulebook.load(SHIPPED), ids=lambda rule: rule.id)
def test_a_shipped_rule_is_labelled_and_tried(rule):
    """A label in both languages, a IPTC code or none, and at least five examples on each side."""
    assert set(rule.label) >= {"fr", "en"}
    assert all(code.startswith("medtop:") for code in rule.iptc)
    assert len(set(rule.examples.match)) >= 5
    assert len(set(rule.examples.no_match)) >= 5


def test_the_topics_that_are_shipped():
    assert [rule.id for rule in rulebook.load(SHIPPED)] == [
        "climat",
        "ukraine-diplomatie",
        "ukraine-garanties-securite",
    ]
