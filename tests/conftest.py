"""What every test may use: the corpus, the pinned floors of quality."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REQUIRED = frozenset(filter(None, os.environ.get("VEILLE_REQUIRE", "").split(",")))


def missing(what: str, reason: str) -> None:
    """Skip a test for lack of `what`, or fail it where VEILLE_REQUIRE names it."""
    if what in REQUIRED:
        pytest.fail(f"{reason} (VEILLE_REQUIRE={what})")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real pages and feeds."""
    folder = Path(os.environ.get("VEILLE_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not folder.is_dir():
        missing("corpus", f"no corpus at {folder}: set VEILLE_CORPUS")
    return folder


@pytest.fixture(scope="session")
def floor():
    """The pinned floor of a quality figure, by name."""
    return json.loads((ROOT / "tests" / "quality_floor.json").read_text()).__getitem__
