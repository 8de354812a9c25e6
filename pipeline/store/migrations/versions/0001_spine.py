"""The spine: runs, feeds, hosts, entries, pages, articles and the outbox. Alters nothing that was there."""

from pathlib import Path

from alembic import op

from pipeline import failpoints

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n")
    for number, statement in enumerate(filter(str.strip, statements)):
        op.get_bind().exec_driver_sql(statement)
        if number == 8:  # noqa: PLR2004  some tables made, some not
            failpoints.reach("inside_migration")
