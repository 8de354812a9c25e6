"""The schema's history. Each version is an SQL file beside a few lines that name it for Alembic.

Does not run any of them: `Store.migrate` does.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
HEAD = max(path.stem.split("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))
