"""The import of saved objects into Kibana, by its API.

Does not look into the file: whether it is right was seen when it was made. What was imported before is
overwritten; what a person made in Kibana has other ids and stays.
"""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, Permanent, Transient, Unreachable
from pipeline.installation import ROOT
from pipeline.settings import Settings

FILE = ROOT / "config" / "kibana" / "veille.ndjson"
PATH = "/api/saved_objects/_import?overwrite=true"
SECONDS = 60.0  # Kibana brings every object up to date before it answers
AGAIN = "veille kibana import"
WHO = "VEILLE_KIBANA_USER and VEILLE_KIBANA_PASSWORD"
SHOWN = 5  # objects that failed, in a message
RESOLVABLE = ("missing_references", "ambiguous_conflict")  # after one of these Kibana writes nothing


def send(url: str, settings: Settings, file: Path = FILE) -> int:
    """Import the file's objects into the Kibana at `url`; return how many it took.

    Raises ConfigError for a URL, user, password or certificate that is wrong, Permanent where Kibana refuses
    objects, Unreachable or Transient where it may do better later.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="make kibana") from error
    status, body = _post(_base(url), settings, file.name, content)
    return _taken(url, status, body)


def _base(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("Kibana's address is expected, like http://127.0.0.1:5601")
    if parts.username or parts.password:
        raise ConfigError(
            "the address holds a user or a password, which logs would show",
            hint=f"set {WHO} instead",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _post(base: str, settings: Settings, name: str, content: bytes) -> tuple[int, bytes]:
    import urllib3

    headers = {"kbn-xsrf": "veille"}  # any value: browsers of other sites cannot send the header
    if settings.kibana_user:
        headers |= urllib3.make_headers(basic_auth=f"{settings.kibana_user}:{settings.kibana_password}")
    pool = urllib3.PoolManager(
        retries=False, timeout=SECONDS, cert_reqs="CERT_REQUIRED", ca_certs=settings.kibana_ca or None
    )
    try:
        answer = pool.request(
            "POST",
            base + PATH,
            headers=headers,
            fields={"file": (name, content, "application/ndjson")},
            redirect=False,
        )
    except urllib3.exceptions.SSLError as error:
        raise ConfigError(
            f"Kibana at {base} shows a certificate that cannot be trusted: {error}",
            hint="set VEILLE_KIBANA_CA to the file of the authority that signed it",
        ) from error
    except OSError as error:
        raise ConfigError(f"VEILLE_KIBANA_CA cannot be read: {error}") from error
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(
            f"Kibana at {base} does not answer: {type(error).__name__}",
            hint=f"start it, or wait until it is up, then: {AGAIN} {base}",
        ) from error
    finally:
        pool.clear()
    return answer.status, answer.data


def _taken(url: str, status: int, body: bytes) -> int:
    answer = _parsed(body)
    said = str(answer.get("message") or answer.get("error") or "no reason given")[:300]
    if status == HTTPStatus.UNAUTHORIZED:
        raise ConfigError("Kibana refuses user and password (401)", hint=f"set {WHO}")
    if status == HTTPStatus.FORBIDDEN:
        raise ConfigError(
            f"this user may not write into Kibana (403): {said}",
            hint=f"set {WHO} to those of a user who may manage saved objects",
        )
    if status in (429, 500, 502, 503, 504):
        raise Transient(f"Kibana is not ready ({status}): {said}", hint=f"wait a minute, then: {AGAIN} {url}")
    if status != HTTPStatus.OK or "success" not in answer:
        what = f"it answers {status}: {said}" if answer else f"it answers {status}, and that is no JSON"
        raise ConfigError(f"{url} does not take the objects: {what}", hint="is that the address of a Kibana?")
    if not answer["success"] or answer.get("errors"):
        raise Permanent(_refused(answer.get("errors") or []), hint="see Kibana's log")
    return int(answer.get("successCount", 0))


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refused(errors: list[dict[str, Any]]) -> str:
    """What failed, by object."""
    none = any(found.get("error", {}).get("type") in RESOLVABLE for found in errors)
    others = "so it took none" if none else "the others may be in"
    lines = [f"Kibana refuses {len(errors)} of the objects, {others}:"]
    for found in errors[:SHOWN]:
        reason = found.get("error", {})
        why = reason.get("message") or reason.get("type", "no reason given")
        missing = ", ".join(f"{one.get('type')} {one.get('id')}" for one in reason.get("references", []))
        lines.append(f"  {found.get('type')} {found.get('id')}: {why}{f' ({missing})' if missing else ''}")
    return "\n".join(lines)
