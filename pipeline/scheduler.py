"""Airflow's environment: the variables with which its processes run on Veille's home.

Does not import Airflow; whoever starts one of its processes gives it this environment.
"""

import base64
import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.installation import ROOT

if TYPE_CHECKING:
    from pipeline.store.embedded import Embedded

DATABASE = "airflow"


def database_url(embedded: "Embedded") -> str:
    """Airflow's own database in the embedded PostgreSQL, for SQLAlchemy."""
    host = quote(str(embedded.host), safe="")
    return f"postgresql+psycopg2://{embedded.user}@/{DATABASE}?host={host}&port={embedded.port}"


def environment(home: Path, database_url: str) -> dict[str, str]:
    """The variables for Airflow under `home`, with its metadata at `database_url` (SQLAlchemy, psycopg2).

    Secrets are made once and kept in the home, readable by its owner alone.
    """
    folder = home / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": _secret(folder / "fernet.key", fernet=True),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(folder / "jwt.key"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def _secret(path: Path, *, fernet: bool = False) -> str:
    """A secret of this home, made at the first call."""
    if not path.exists():
        raw = secrets.token_bytes(32)
        value = base64.urlsafe_b64encode(raw).decode() if fernet else raw.hex()
        new = path.with_suffix(f".{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(value)
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret is the one
            os.link(new, path)
        new.unlink()
    return path.read_text().strip()
