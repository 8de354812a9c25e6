"""The secrets of the stack: made once, kept in `.env`, refused where they are weak.

Needs nothing but Python, so that `make up` asks for no installation. Does not hand them to anybody: docker
compose reads `.env`.
"""

import base64
import os
import re
import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.errors import ConfigError

LEAST = 12  # characters
MADE = 24  # 142 bits; letters and digits, which need no quotes in URLs, JSON and shells
DIFFERENT = 6  # characters of a password that are not each other's repetition
WORDS = (  # which are tried first
    *("changeme", "password", "motdepasse", "secret", "admin", "azerty", "qwerty", "12345"),
    *("elastic", "kibana", "postgres", "airflow", "veille"),
)

SHOWN = {  # to whom a person logs in, and how
    "AIRFLOW_ADMIN_PASSWORD": "Airflow, user admin",
    "VEILLE_READER_PASSWORD": "Kibana, user veille-reader: searches and reads",
    "ELASTIC_PASSWORD": "Kibana and Elasticsearch, user elastic: may do everything",
}
PASSWORDS = (
    *SHOWN,
    "POSTGRES_PASSWORD",
    "VEILLE_DATABASE_PASSWORD",
    "AIRFLOW_DATABASE_PASSWORD",
    "VEILLE_WRITER_PASSWORD",
    "KIBANA_SYSTEM_PASSWORD",
)
KEYS: dict[str, tuple[int, Callable[[], str]]] = {  # how long they must be, and what makes one
    "KIBANA_ENCRYPTION_KEY": (32, lambda: _random(48)),
    "AIRFLOW_JWT_SECRET": (32, lambda: _random(64)),
    "AIRFLOW_SECRET_KEY": (32, lambda: _random(64)),
    "AIRFLOW_FERNET_KEY": (44, lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
}
NAMES = (*PASSWORDS, *KEYS)


def make(path: Path) -> dict[str, str]:
    """Write a new `.env` that its owner alone may read; return what is in it.

    Raises ConfigError if there is one already: its secrets are those of the data.
    """
    values = {name: _random(MADE) for name in PASSWORDS} | {name: key() for name, (_, key) in KEYS.items()}
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; the data were made with its passwords") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(
            "# The secrets of docker-compose.yml, made by make up. Keep them: the data were made with them.\n"
        )
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    return values


def read(path: Path) -> dict[str, str]:
    """The values of a `.env`. Raises ConfigError unless its owner alone may read it."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(f"{path} may be read by others (mode {mode:03o})", hint=f"chmod 600 {path}")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def check(values: Mapping[str, str]) -> None:
    """Raise ConfigError, naming every secret that is missing, weak or shared; none is shown."""
    problems = [f"{name} {problem}" for name in NAMES for problem in _weak(values.get(name, ""), name)]
    for name in NAMES:
        if twins := [other for other in NAMES if other < name and values.get(other, "") == values.get(name)]:
            problems += [f"{name} is the same as {twins[0]}"] if values.get(name) else []
    if problems:
        raise ConfigError(
            "the stack does not start with these secrets:\n  " + "\n  ".join(problems),
            hint="set others in .env, or, before there are data, delete it: make up makes a new one",
        )


def _weak(value: str, name: str) -> Iterator[str]:
    if not value:
        yield "is empty"
        return
    least = KEYS[name][0] if name in KEYS else LEAST
    if len(value) < least:
        yield f"has {len(value)} characters; at least {least} are needed"
    if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", value):
        yield "has other characters than letters, digits, - and _, which URLs would need quotes for"
    plain = re.sub(r"[\W_]", "", value.lower())
    if name in PASSWORDS and (word := next((word for word in WORDS if word in plain), "")):
        yield f"holds a word that is tried first: {word}"
    if len(set(value)) < DIFFERENT:
        yield f"has fewer than {DIFFERENT} different characters"


def _random(length: int) -> str:
    """Letters and digits by chance, such as pass our own check."""
    alphabet = string.ascii_letters + string.digits
    while True:
        value = "".join(secrets.choice(alphabet) for _ in range(length))
        if not list(_weak(value, "ELASTIC_PASSWORD")):
            return value
