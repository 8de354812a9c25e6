"""The accounts of Elasticsearch: who writes, who reads, as whom Kibana itself logs in.

What each may do stands in config/elasticsearch/roles.json. Makes no index: `veille index setup` does.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, Transient, Unreachable
from pipeline.installation import ROOT

ROLES = ROOT / "config" / "elasticsearch" / "roles.json"
KIBANA = "kibana_system"  # built in: only its password is ours
SECONDS = 60.0  # the index of accounts is made with the first of them


@dataclass(frozen=True, slots=True)
class Server:
    """An Elasticsearch, and its superuser."""

    url: str
    user: str
    password: str


def make(server: Server, *, writer: str, reader: str, kibana: str, roles: Path = ROLES) -> None:
    """Make or renew the roles, the users veille-writer and veille-reader, and all three passwords.

    Raises ConfigError where the server refuses, Unreachable where there is none, Transient if it is not
    ready.
    """
    for name, role in json.loads(roles.read_text(encoding="utf-8")).items():
        _put(server, f"/_security/role/{name}", role)
    for name, password in (("veille-writer", writer), ("veille-reader", reader)):
        _put(server, f"/_security/user/{name}", {"password": password, "roles": [name], "enabled": True})
    _put(server, f"/_security/user/{KIBANA}/_password", {"password": kibana})


def _put(server: Server, path: str, body: dict[str, Any]) -> None:
    import urllib3

    headers = urllib3.make_headers(basic_auth=f"{server.user}:{server.password}")
    try:
        answer = urllib3.request(
            "PUT", server.url.rstrip("/") + path, json=body, headers=headers, retries=False, timeout=SECONDS
        )
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(
            f"Elasticsearch does not answer: {type(error).__name__}",
            hint="see the log of the service elasticsearch",
        ) from error
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise ConfigError(
            "Elasticsearch refuses the superuser's password",
            hint="its data were made with another ELASTIC_PASSWORD: restore that .env",
        )
    if answer.status in (429, 502, 503, 504):
        raise Transient(f"Elasticsearch is not ready ({answer.status})", hint="run the set-up again")
    if answer.status != HTTPStatus.OK:
        raise ConfigError(f"Elasticsearch refuses {path} ({answer.status}): {_reason(answer.data)}")


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["reason"])[:300]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
