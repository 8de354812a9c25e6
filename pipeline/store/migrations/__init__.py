"""The schema's history. Each version is an SQL file beside a few lines that name it for Alembic."""

from pathlib import Path

FOLDER = Path(__file__).parent
HEAD = max(path.stem.split("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))
