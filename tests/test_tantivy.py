"""What only the embedded index promises: about files, crashes and locks."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tantivy

from pipeline.errors import Busy, ConfigError, Unparsable
from pipeline.model import Document, Tombstone
from pipeline.search import REBUILD, tantivy_fields
from pipeline.search.tantivy import TantivyIndex

NOON = datetime(2024, 5, 2, 12, tzinfo=UTC)
ROOT = Path(__file__).parent.parent


def document(id_: str, *, version: int = 1, title: str = "gaz", text: str = "") -> Document:
    return Document(
        id_, version, f"https://presse.test/{id_}", title, "", text, "p", "P", "", "FR", "fr", NOON, NOON
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def index(folder):
    """An index that holds one document."""
    opened = TantivyIndex(folder)
    opened.finish_rebuild(opened.begin_rebuild())
    opened.put([document("a")])
    return opened


def generations(folder: Path) -> list[Path]:
    return sorted(folder.glob("gen-*"))


def test_an_index_of_another_schema_is_recognised_and_can_be_rebuilt(folder, index):
    (generations(folder)[0] / "SCHEMA").write_text("0")
    fresh = TantivyIndex(folder)

    for use in (lambda: fresh.search("gaz"), lambda: fresh.put([document("b")])):
        with pytest.raises(ConfigError, match="schema 0") as refused:
            use()
        assert refused.value.hint == REBUILD

    generation = fresh.begin_rebuild()
    fresh.put([document("b")], generation=generation)
    fresh.finish_rebuild(generation)
    assert fresh.versions() == {"b": 1}


def damage_meta(generation: Path) -> None:
    (generation / "meta.json").write_text("{")


def lose_meta(generation: Path) -> None:
    (generation / "meta.json").unlink()


def lose_schema(generation: Path) -> None:
    (generation / "SCHEMA").unlink()


def lose_generation(generation: Path) -> None:
    generation.rename(generation.with_name("gone"))


def cut_words(generation: Path) -> None:
    next(generation.glob("*.idx")).write_bytes(b"xx")


def lose_words(generation: Path) -> None:
    next(generation.glob("*.term")).unlink()


@pytest.mark.parametrize(
    "damage", [damage_meta, lose_meta, lose_schema, lose_generation, cut_words, lose_words]
)
def test_a_damaged_index_names_the_command_that_repairs_it(folder, index, damage):
    damage(generations(folder)[0])
    fresh = TantivyIndex(folder)

    for use in (lambda: fresh.search("gaz"), fresh.count, fresh.versions):
        with pytest.raises(Unparsable, match="is damaged") as damaged:
            use()
        assert damaged.value.hint == REBUILD


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_give_an_answer_or_the_same_error(folder, index, seed):
    index.put(document(str(i), text=" ".join(f"mot{i * k % 97}" for k in range(200))) for i in range(50))
    chance = random.Random(seed)
    files = sorted(path for path in generations(folder)[0].iterdir() if path.suffix not in ("", ".json"))
    damaged = chance.choice(files)
    content = bytearray(damaged.read_bytes())
    for _ in range(50):
        content[chance.randrange(max(1, len(content) - 200))] = chance.randrange(256)
    damaged.write_bytes(content)
    fresh = TantivyIndex(folder)

    for use in (
        lambda: fresh.search('mot3 gaz "mot4 mot8"~3', facets=("publisher",)),
        fresh.versions,
        lambda: fresh.put([document("3", version=2)]),
    ):
        try:
            use()
        except Unparsable as error:
            assert error.hint == REBUILD  # noqa: PT017  an answer is as good


def test_a_second_writer_is_told_that_the_index_is_busy(folder, index):
    engine = tantivy.Index.open(str(generations(folder)[0]))
    writer = engine.writer(15_000_000, 1)

    with pytest.raises(Busy):
        index.put([document("b")])
    assert index.count() == 1

    writer.wait_merging_threads()
    index.put([document("b")])
    assert index.count() == 2


def test_a_reader_keeps_the_old_generation_while_it_uses_it(folder, index):
    searcher = index._live().searcher()
    other = TantivyIndex(folder)
    generation = other.begin_rebuild()
    other.put([document("b")], generation=generation)
    other.finish_rebuild(generation)

    everything = searcher.search(tantivy.Query.all_query())
    assert [json.loads(searcher.doc(at)["shown"][0])["id"] for _, at in everything.hits] == ["a"]
    assert index.versions() == {"b": 1}


def test_a_reader_looks_again_where_the_generation_is_removed_before_it_is_open(folder, index):
    """CURRENT becomes a pipe whose reader gets a name that is out of date as soon as it is read."""
    current = folder / "CURRENT"
    live = current.read_text()
    current.unlink()
    os.mkfifo(current)

    def swap() -> None:
        with current.open("w") as pipe:
            pipe.write("gen-removed")
            (folder / "next").write_text(live)
            (folder / "next").replace(current)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        assert TantivyIndex(folder).versions() == {"a": 1}
    finally:
        swapping.join()


def test_only_the_live_generation_stays_on_disk(folder, index):
    for _ in range(2):
        index.begin_rebuild()
        assert len(generations(folder)) == 2
    index.finish_rebuild(index.begin_rebuild())
    assert len(generations(folder)) == 1
    index.abandon_rebuild(index.begin_rebuild())
    assert len(generations(folder)) == 1
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["CURRENT"]


def test_a_crash_between_the_two_steps_of_finishing_is_harmless(folder, index):
    generation = index.begin_rebuild()
    index.put([document("b")], generation=generation)
    (folder / "CURRENT").write_text(generation)  # and the process died before REBUILDING was removed

    fresh = TantivyIndex(folder)
    fresh.put([document("c")])
    assert fresh.versions() == {"b": 1, "c": 1}
    fresh.abandon_rebuild(generation)
    assert fresh.versions() == {"b": 1, "c": 1}


@pytest.mark.slow
def test_writes_are_merged_into_few_files(folder, index):
    """Otherwise a search would have to look into as many as there were writes."""
    for i in range(17):
        index.put([document(str(i))])
    assert index._live().searcher().num_segments <= 9
    assert len(list(generations(folder)[0].glob("*.store"))) <= 9


def test_a_change_of_schema_or_analysis_raises_the_version():
    """An index of the old form would silently not find what is looked up in the new form."""
    row = tantivy_fields.row(
        document(
            "a", title="L’été des agricultrices : 12 500 chevaux", text="« Où ? » À l'Élysée, aujourd'hui."
        )
    )
    fields = {name: values for name, values in row.to_dict().items() if name.startswith(("title", "text"))}
    assert (tantivy_fields.VERSION, fields) == (
        "1",
        {
            "text": ["∅ ∅ elys aujourdhui"],
            "text_exact": ["ou a elysee aujourdhui"],
            "title": ["ete ∅ agriculteu 12500 cheval"],
            "title_exact": ["ete des agricultrices 12500 chevaux"],
        },
    )


def run(script: str, folder: Path, *arguments: str) -> subprocess.Popen:
    code = textwrap.dedent(
        """
        import sys, resource, signal
        sys.path[:0] = sys.argv[1:3]
        from pathlib import Path
        from test_tantivy import document
        from pipeline.search.tantivy import TantivyIndex
        index = TantivyIndex(Path(sys.argv[3]))
        """
    ) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(ROOT), str(ROOT / "tests"), str(folder), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


WRITE_FOR_EVER = """
import itertools
for i in itertools.count(int(sys.argv[4])):
    index.put([document(f"{i}-{j}", version=1) for j in range(20)])
    print(i, flush=True)
"""


@pytest.mark.crash
@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_write_that_has_returned(folder, index):
    acknowledged = 0
    for kill in range(5):
        child = run(WRITE_FOR_EVER, folder, str(acknowledged))
        for line in child.stdout:
            acknowledged = int(line) + 1
            if acknowledged % 7 == kill:  # a different moment of the merging cycle each time
                break
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += len(child.stdout.read().split())
        child.wait()
        child.stdout.close()

        held = index.versions()
        assert {f"{i}-{j}" for i in range(acknowledged) for j in range(20)} <= held.keys()
        groups = {id_.partition("-")[0] for id_ in held} - {"a"}
        assert len(held) == 20 * len(groups) + 1  # each call is in as a whole or not at all
        index.put([document("after", version=kill + 1)])
        index.delete([Tombstone("after", kill + 1)])


FILL_THE_DISK = """
from pipeline.errors import Transient
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
big = [document(f"big-{i}", text=" ".join(f"mot{i}x{j}" for j in range(500))) for i in range(200)]
try:
    index.put(big)
except Transient as error:
    print(type(error).__name__, index.versions())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.put(big)
print(len(index.versions()))
"""


@pytest.mark.slow
def test_a_full_disk_is_transient_and_leaves_the_index_as_it_was(folder, index):
    child = run(FILL_THE_DISK, folder)
    output, _ = child.communicate(timeout=60)

    assert output.splitlines() == ["Transient {'a': 1}", "201"]
    assert index.count() == 201
