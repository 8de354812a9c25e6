"""The benchmarks run from end to end on very little, and report every line; what they measure is no test."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = {"pages": 6, "rounds": 1, "polls": 1, "few": 60, "many": 120, "newcomers": 12, "queries": 2}
PEERS = {"line_to_newspaper4k", "line_to_news-please"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tiny_run_has_every_line(tmp_path):
    """All lines are there, in numbers; those that cannot be measured say why, and nothing is left behind."""
    tiny = [argument for name, size in TINY.items() for argument in (f"--{name}", str(size))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", "--no-peers", "--folder", str(tmp_path), *tiny],
        cwd=ROOT,
        env=os.environ | {"VEILLE_CORPUS": str(tmp_path)},  # none there: the newsroom's pages
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = {line["key"]: line for line in json.loads(done.stdout)["lines"]}
    absent = {key for key, line in lines.items() if line["value"] is None}
    assert absent == PEERS | {"f1_to_trafilatura"}
    assert all(lines[key]["note"] for key in absent)
    assert all(math.isfinite(line["value"]) for key, line in lines.items() if key not in absent)
    assert lines.keys() >= {
        "line_to_extraction", "extraction_to_trafilatura", "extraction_two_to_one", "line_two_to_one",
        "poll_without_store_feed", "poll_with_store_feed", "poll_without_store_same", "poll_with_store_same",
        "growth", "worker_memory", "disk_store", "disk_index", "disk_archive", "search_a_frequent_word",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
