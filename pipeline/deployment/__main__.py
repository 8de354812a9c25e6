"""`python -m pipeline.deployment STEP`: what docker-compose.yml and `make up` call. Decides nothing.

Secrets come from the environment and are never shown, but for once: when `passwords` has made them.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.deployment import health, passwords
from pipeline.errors import ConfigError, VeilleError

ENV = Path(".env")


def main(arguments: list[str]) -> int:
    """Do one step. Returns the exit code."""
    if not arguments or arguments[0] not in STEPS:
        print(f"usage: python -m pipeline.deployment {'|'.join(STEPS)}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        return STEPS[arguments[0]](*arguments[1:])
    except VeilleError as error:
        print(f"veille: {error}", *filter(None, [error.hint]), sep="\n  → ", file=sys.stderr)  # noqa: T201
        return 1


def _passwords() -> int:
    """For `make up`: make `.env` if there is none, and check it."""
    if ENV.exists():
        passwords.check(passwords.read(ENV))
        return 0
    values = passwords.make(ENV)
    print(f"The passwords, which are shown this once and kept in {ENV}:")  # noqa: T201
    for name, whose in passwords.SHOWN.items():
        print(f"  {values[name]}  {whose}")  # noqa: T201
    return 0


def _check() -> int:
    """For the first service: nothing starts with weak secrets."""
    passwords.check(os.environ)
    return 0


def _databases() -> int:
    from pipeline.store import databases  # passwords are made where nothing is installed

    databases.make(
        _given("VEILLE_SETUP_DATABASE_URL"),
        (
            databases.Owned("veille", _given("VEILLE_DATABASE_PASSWORD")),
            databases.Owned("airflow", _given("AIRFLOW_DATABASE_PASSWORD")),
        ),
    )
    return 0


def _accounts() -> int:
    from pipeline.deployment import accounts

    accounts.make(
        accounts.Server(
            _given("VEILLE_INDEX_URL"), _given("VEILLE_INDEX_USER"), _given("VEILLE_INDEX_PASSWORD")
        ),
        writer=_given("VEILLE_WRITER_PASSWORD"),
        reader=_given("VEILLE_READER_PASSWORD"),
        kibana=_given("KIBANA_SYSTEM_PASSWORD"),
    )
    return 0


def _schema() -> int:
    from pipeline.runtime import Runtime
    from pipeline.settings import from_environment

    with Runtime(from_environment()) as runtime:
        runtime.migrate()
    return 0


def _index() -> int:
    from pipeline.deployment import indices
    from pipeline.runtime import Runtime
    from pipeline.settings import from_environment

    with Runtime(from_environment()) as runtime:
        if indices.make(runtime):
            print("the search index of before could not be used and was made anew from the store")  # noqa: T201
    return 0


def _health(url: str, component: str = "") -> int:
    return 0 if health.healthy(url, component) else 1


def _given(name: str) -> str:
    if not os.environ.get(name):
        raise ConfigError(f"{name} is not set")
    return os.environ[name]


STEPS: dict[str, Callable[..., int]] = {
    "passwords": _passwords,
    "check": _check,
    "databases": _databases,
    "schema": _schema,
    "accounts": _accounts,
    "index": _index,
    "health": _health,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
