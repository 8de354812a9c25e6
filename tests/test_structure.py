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
MODULES = sorted(path for path in (ROOT / "pipeline").rglob("*.py") if "versions" not in path.parts)
PURE = [path for path in MODULES if "*Pure.*" in (ast.get_docstring(ast.parse(path.read_text())) or "")]
IMPURE = frozenset({
    "aiohttp", "asyncio", "multiprocessing", "psycopg", "psycopg_pool", "random", "requests", "shutil",
    "socket", "sqlalchemy", "subprocess", "tempfile", "time", "airflow", "urllib.request", "os", "fcntl",
    "signal",
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


@pytest.mark.parametrize("path", PURE, ids=name)
def test_a_pure_module_imports_no_input_or_output(path):
    """Modules marked pure take time, randomness and bytes as arguments."""
    found = {module for module in imported(ast.parse(path.read_text())) if module in IMPURE}

    assert not found


def test_the_modules_that_decide_are_pure():
    """The core of the design is marked, so that the test above looks at it."""
    marked = {path.stem for path in PURE}

    assert marked >= {
        "model", "errors", "urls", "feeds", "schedule", "dates", "language", "articles", "tokens",
        "fingerprints", "rules", "terms", "tagger", "parser", "tree", "addresses",
    }  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_does(path):
    """The first lines of every module are its purpose."""
    assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 20


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_dags_import_airflow(path):
    """The pipeline runs without Airflow."""
    assert not [m for m in imported(ast.parse(path.read_text())) if m.split(".")[0] == "airflow"]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_edges_know_their_engines(path):
    """psycopg is known to the store alone, tantivy to the search, aiohttp to the fetcher."""
    engines = {"psycopg": "store", "tantivy": "search", "aiohttp": "web"}
    for module in imported(ast.parse(path.read_text())):
        folder = engines.get(module.split(".")[0])
        if folder is not None:
            assert folder in path.relative_to(ROOT).parts


def test_every_statement_is_used():
    """SQL that nobody executes is dead code that no linter sees."""
    code = "".join(path.read_text() for path in MODULES)
    named = {
        name
        for file in (ROOT / "pipeline" / "store" / "sql").glob("*.sql")
        for name in re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE)
    }

    assert {name for name in named if f'SQL["{name}"]' not in code} == set()


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
        "aiohttp",
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
