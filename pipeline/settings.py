"""The settings: read once from the environment into one frozen value.

Does not read configuration files (`catalogue` and `rulebook` do) and opens nothing.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import ConfigError
from pipeline.installation import ROOT
from pipeline.urls import split_host
from pipeline.web.addresses import parse_allowed

LEASE_SECONDS = 60.0
HOST_GAP_SECONDS = 1.0  # at most one request per second and host: what news sites ask of crawlers
HOUR = 3600.0
CENTURY = 100 * 365.25 * 86_400  # seconds; farther away the database knows no dates
CONTACT = re.compile(r"[!-~]+@[!-~]+|https?://[!-~]+")
_PLACE = r"(?:\[[^\]]*\]|[^:,@\[\]]*)(?::\d*)?"
AUTHORITY = re.compile(rf"(?:[^@]*@)?{_PLACE}(?:,{_PLACE})*")  # of a database's URL
LOGS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a person may set, with its default."""

    home: Path  # VEILLE_HOME: the data folder
    config: Path  # VEILLE_CONFIG: sources.yaml and topics/
    archive: Path  # VEILLE_ARCHIVE: WARC files
    database_url: str = ""  # VEILLE_DATABASE_URL; empty: PostgreSQL embedded in the home
    index_url: str = "tantivy:"  # VEILLE_INDEX_URL; or http(s)://host:9200, a server
    index_user: str = ""  # VEILLE_INDEX_USER
    index_password: str = field(default="", repr=False)  # VEILLE_INDEX_PASSWORD
    index_ca: str = ""  # VEILLE_INDEX_CA: who signed the server's certificate; empty: a public authority
    index_name: str = "veille-articles"  # VEILLE_INDEX_NAME: what a server may hold several of
    kibana_user: str = ""  # VEILLE_KIBANA_USER
    kibana_password: str = field(default="", repr=False)  # VEILLE_KIBANA_PASSWORD
    kibana_ca: str = ""  # VEILLE_KIBANA_CA: file of the authority that signed Kibana's certificate
    contact: str = ""  # VEILLE_CONTACT: goes into the User-Agent
    allow_hosts: frozenset[tuple[str, int]] = frozenset()  # VEILLE_ALLOW_HOSTS
    clock_offset: float = 0.0  # VEILLE_CLOCK_OFFSET, seconds
    lease_seconds: float = LEASE_SECONDS  # VEILLE_LEASE_SECONDS
    host_gap_seconds: float = HOST_GAP_SECONDS  # VEILLE_HOST_GAP_SECONDS; below 1 only for allowed hosts
    log: str = ""  # VEILLE_LOG: where events go; empty: a file in the home
    log_level: str = "info"  # VEILLE_LOG_LEVEL: the least that is logged

    def allows(self, host: str) -> bool:
        """Whether VEILLE_ALLOW_HOSTS lists this host ("name:port", or "name" for a standard port)."""
        name, port = split_host(host)
        ports = {port} if port else {80, 443}
        return any((name, number) in self.allow_hosts for number in ports)

    @property
    def user_agent(self) -> str:
        """Names Veille and whom to write to."""
        return f"Veille/0.1 (+{self.contact})" if self.contact else "Veille/0.1"


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that `environment` (default: the process's own) holds.

    Raises ConfigError, which names the variable, what was found and what is expected.
    """
    env = os.environ if environment is None else environment
    home = Path(env.get("VEILLE_HOME") or Path.cwd() / ".veille").expanduser().absolute()
    allow_hosts = parse_allowed(env.get("VEILLE_ALLOW_HOSTS", ""))
    offset = _number(env, "VEILLE_CLOCK_OFFSET", 0.0, least=-CENTURY, most=CENTURY)
    if offset and not allow_hosts:
        raise ConfigError(
            "VEILLE_CLOCK_OFFSET is for demonstrations; it is refused without VEILLE_ALLOW_HOSTS",
            hint="unset VEILLE_CLOCK_OFFSET",
        )
    return Settings(
        home=home,
        config=_config(env.get("VEILLE_CONFIG", ""), home),
        archive=Path(env.get("VEILLE_ARCHIVE") or home / "archive").expanduser().absolute(),
        database_url=_database_url(env.get("VEILLE_DATABASE_URL", "")),
        index_url=_index_url(env.get("VEILLE_INDEX_URL") or "tantivy:"),
        index_user=env.get("VEILLE_INDEX_USER", ""),
        index_password=env.get("VEILLE_INDEX_PASSWORD", ""),
        index_ca=_certificates(env, "VEILLE_INDEX_CA"),
        index_name=_index_name(env.get("VEILLE_INDEX_NAME") or "veille-articles"),
        kibana_user=env.get("VEILLE_KIBANA_USER", ""),
        kibana_password=env.get("VEILLE_KIBANA_PASSWORD", ""),
        kibana_ca=_certificates(env, "VEILLE_KIBANA_CA"),
        contact=_contact(env.get("VEILLE_CONTACT", "")),
        allow_hosts=allow_hosts,
        clock_offset=offset,
        lease_seconds=_number(env, "VEILLE_LEASE_SECONDS", LEASE_SECONDS, least=0.5, most=HOUR),
        host_gap_seconds=_number(env, "VEILLE_HOST_GAP_SECONDS", HOST_GAP_SECONDS, least=0.0, most=HOUR),
        log=_one_of(env, "VEILLE_LOG", LOGS, ""),
        log_level=_one_of(env, "VEILLE_LOG_LEVEL", LOG_LEVELS, "info"),
    )


def _config(named: str, home: Path) -> Path:
    """The folder that is named, else the home's own, else the one that is shipped."""
    if named:
        return Path(named).expanduser().absolute()
    own = home / "config"
    return own if os.path.isdir(own) else ROOT / "config"  # noqa: PTH112  Path's raises in a home of others


def _number(env: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    value = env.get(name, "")
    try:
        number = float(value) if value else default
    except ValueError as error:
        raise ConfigError(
            f"{name} is {value!r}; a number of seconds is expected", hint=f"unset {name}"
        ) from error
    if not least <= number <= most:  # nor is nan
        raise ConfigError(
            f"{name} is {value!r}; {least:.10g} to {most:.10g} seconds are possible", hint=f"unset {name}"
        )
    return number


def _one_of(env: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = env.get(name, "").lower() or default
    if value and value not in known:
        raise ConfigError(
            f"{name} is {env[name]!r}; one of these is expected: {', '.join(known)}", hint=f"unset {name}"
        )
    return value


def _contact(text: str) -> str:
    """What may stand in a header of HTTP and tells publishers whom to write to."""
    if text and not CONTACT.fullmatch(text):
        raise ConfigError(
            f"VEILLE_CONTACT is {text[:80]!r}; a mail address or an http(s) address is expected",
            hint="export VEILLE_CONTACT=you@example.org",
        )
    return text


def _database_url(url: str) -> str:
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            f"VEILLE_DATABASE_URL starts with {url.split(':', 1)[0][:20]!r}; postgresql://… is expected",
            hint="unset VEILLE_DATABASE_URL to use the embedded PostgreSQL",
        )
    # PostgreSQL would take a part of such a password for the host, and name it in its error.
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
    if not AUTHORITY.fullmatch(authority):
        raise ConfigError(
            "VEILLE_DATABASE_URL is not like postgresql://user:password@host:port/name",
            hint="write special characters of a password as %40 for @, %2F for /, %3A for :, %25 for %",
        )
    return url


def _index_url(url: str) -> str:
    """Says nothing of what was found: it may hold a password."""
    if url == "tantivy:":
        return url
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        known = False
    if not known:
        raise ConfigError(
            "VEILLE_INDEX_URL is neither tantivy: (the embedded index) nor http(s)://host:9200",
            hint="unset VEILLE_INDEX_URL to use the embedded index",
        )
    if "@" in parts.netloc:
        raise ConfigError(
            "VEILLE_INDEX_URL holds a user or password, which would end up in logs",
            hint="set VEILLE_INDEX_USER and VEILLE_INDEX_PASSWORD instead",
        )
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def _certificates(env: Mapping[str, str], name: str) -> str:
    path = env.get(name, "")
    if path and not Path(path).expanduser().is_file():
        raise ConfigError(f"{name} is {path!r}; a file of certificates (PEM) is expected there")
    return str(Path(path).expanduser().absolute()) if path else ""


def _index_name(name: str) -> str:
    if not re.fullmatch(r"veille-[a-z0-9-]{1,50}", name):
        raise ConfigError(
            f"VEILLE_INDEX_NAME is {name!r}; veille- and small letters, digits or hyphens are expected"
        )
    return name
