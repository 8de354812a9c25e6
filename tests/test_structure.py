"""The house: what may import what, how light it is to enter, how thin the DAGs are."""

import ast
import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from moments import KILLED, READING

ROOT = Path(__file__).parent.parent
ALL = sorted((ROOT / "pipeline").rglob("*.py"))
MODULES = [path for path in ALL if "versions" not in path.parts]
IMPURE = frozenset({
    "airflow", "alembic", "asyncio", "concurrent", "fcntl", "h11", "http", "logging", "multiprocessing",
    "os", "psycopg", "psycopg_pool", "random", "requests", "shutil", "signal", "socket", "sqlalchemy", "ssl",
    "subprocess", "tantivy", "tempfile", "threading", "time", "urllib.request", "urllib3", "warcio",
})  # fmt: skip
ENGINES = ("__main__.py", "tantivy.py", "tantivy_fields.py", "env.py")  # imported only where they are used
DAGS = sorted((ROOT / "dags").glob("*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name(path):
    return str(path.relative_to(ROOT))


def said(path):
    """What a module says of itself."""
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def dotted(path):
    """The name by which a module is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PURE = {dotted(path): path for path in ALL if "*Pure.*" in said(path)}
# Packages that hold a docstring and nothing else: entering a module of theirs does nothing more.
BARE = {
    dotted(path) for path in ALL if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) == 1
}


def entered(path):
    """Every module that this one imports when it runs, with the packages above, and the names it takes."""
    tree = ast.parse(path.read_text())
    only_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in only_types:
            above = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                parts = f"{above}{alias.name}".split(".")
                yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


@pytest.mark.parametrize("path", PURE.values(), ids=name)
def test_a_pure_module_imports_no_input_or_output(path):
    """Modules marked pure take time, randomness and bytes as arguments, and so does all that they enter."""
    own = {dotted(module) for module in ALL} - BARE

    assert set(entered(path)) & IMPURE == set()
    assert set(entered(path)) & own <= PURE.keys()


def test_the_modules_that_decide_are_pure():
    """The core of the design is marked, so that the test above looks at it."""
    assert {name.removeprefix("pipeline.") for name in PURE} >= {
        "model", "errors", "urls", "naming", "schedule", "tokens", "fingerprints", "reading.feeds",
        "reading.dates", "reading.language", "reading.articles", "topics.rules", "topics.terms",
        "topics.tagger", "query.parser", "query.tree", "web.addresses",
    }  # fmt: skip


@pytest.mark.parametrize("path", ALL, ids=name)
def test_a_module_says_what_it_does_and_what_it_does_not(path):
    """The first lines of every module are its purpose, and where it ends."""
    assert len(said(path)) > 20
    assert re.search(r"\b(not|no|nothing|nobody|never|neither|nor|none)\b", said(path), re.IGNORECASE)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_dags_import_airflow(path):
    """The pipeline runs without Airflow."""
    assert not [m for m in imported(ast.parse(path.read_text())) if m.split(".")[0] == "airflow"]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_edges_know_their_engines(path):
    """psycopg is known to the store alone, tantivy to the search, HTTP to the fetcher."""
    engines = {"psycopg": "store", "tantivy": "search", "h11": "web"}
    for module in imported(ast.parse(path.read_text())):
        folder = engines.get(module.split(".")[0])
        if folder is not None:
            assert folder in path.relative_to(ROOT).parts


def test_every_statement_is_used():
    """SQL that nobody executes is dead code that no linter sees; whoever loads a file uses all of it."""
    named = {
        file.stem: set(re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE))
        for file in (ROOT / "pipeline" / "store" / "sql").glob("*.sql")
    }
    used = collections.defaultdict(set)
    for code in (path.read_text() for path in MODULES):
        for noun in re.findall(r'^SQL = load\("(\w+)"\)$', code, re.MULTILINE):
            used[noun] |= set(re.findall(r'\bSQL\["(\w+)"\]', code))

    assert used == named


def transactions():
    """The name of every transaction that the code begins, as often as it stands there."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "transaction":
                yield ast.literal_eval(node.args[0])


def test_every_transaction_is_killed_or_only_reads():
    """Whoever adds a commit says at which moments `test_crash` kills it, or that it writes nothing."""
    found = collections.Counter(transactions())

    assert found.keys() == KILLED | READING.keys()
    assert not KILLED & READING.keys()
    assert {name for name in KILLED if found[name] > 1} == set(), "a moment is one place in the code"


@pytest.mark.parametrize("path", DAGS, ids=name)
def test_a_dag_is_wiring(path):
    """A task's body has at most three statements apart from imports, and the file imports nothing heavy.

    Whoever runs the file to check it runs nothing: by default that would ask the feeds of the real press.
    """
    tree = ast.parse(path.read_text())
    assert not [node for node in tree.body if isinstance(node, ast.If)]
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert set(imported(ast.Module(top, []))) <= {"airflow.sdk", "datetime", "os"}
    for task in ast.walk(tree):
        if isinstance(task, ast.FunctionDef) and any("task" in ast.dump(d) for d in task.decorator_list):
            body = [n for n in task.body if not isinstance(n, ast.Import | ast.ImportFrom | ast.Expr)]
            statements = [n for outer in body for n in ast.walk(outer) if isinstance(n, ast.stmt)]
            assert len(statements) <= 3, task.name


@pytest.mark.airflow
@pytest.mark.slow
@pytest.mark.parametrize("path", DAGS, ids=name)
def test_a_dag_file_is_read_in_a_third_of_a_second(path, tmp_path):
    """Airflow reads the file every 30 s and in every task: at most 0.3 CPU-s beyond Airflow itself."""
    code = (
        "import time, runpy, airflow.sdk\nfrom airflow.sdk import CronDataIntervalTimetable, dag, task\n"
        f"start = time.process_time(); runpy.run_path({str(path)!r}); print(time.process_time() - start)"
    )
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert float(said.stdout.split()[-1]) <= 0.3


@pytest.mark.parametrize("path", [p for p in MODULES if p.name not in ENGINES], ids=name)
def test_entering_a_module_needs_no_heavy_library(path):
    """Heavy libraries are imported where they are used, so that every command starts at once."""
    heavy = {
        "trafilatura",
        "tantivy",
        "py3langid",
        "langdetect",
        "feedparser",
        "alembic",
        "resiliparse",
    }
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]

    assert not {module.split(".")[0] for module in imported(ast.Module(top, []))} & heavy


def test_the_lock_names_no_index():
    """The lock holds versions and hashes, and no address."""
    lock = (ROOT / "requirements.lock").read_text()

    assert not re.search(r"https?://|--index|--extra-index", lock)
    assert lock.count("==") < lock.count("--hash=sha256:")
