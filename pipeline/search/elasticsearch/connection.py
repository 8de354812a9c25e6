"""The connection to a server, and what goes wrong with one, in our words and with the next command.

Does not retry: whoever calls decides about that. Knows nothing of documents. No message holds the password
or a text of the press.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import ConfigError, EngineTrouble, VeilleError
from pipeline.search import missing

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

ASK_SECONDS: Final = 30.0  # for a search of ten years of articles
# A writer asks again after this, and with half of the batch. With the pause that follows it is less than the
# 10 s within which a writer has to notice that the server is back.
WRITE_SECONDS: Final = 6.5
SETUP: Final = "veille index setup, as a user who may manage index templates"
_CONNECTIONS: Final = 16

MAJOR: Final = 9  # of server and client: a client of 9 gets 400 from a server of 8 on every call

_CHECK = "check VEILLE_INDEX_URL and that the server runs, then run the command again"
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 400, 401, 403, 404, 409, 429
_NOT_ACCEPTABLE = 406
_SERVER_ERROR = 500
# What somebody has to do something about, after which Veille goes on by itself.
_INVALID = "validation_exception"  # of a request for one shard more than a server may have
_FOR_NOW = {
    "cluster_block_exception": (
        "the search server at {} takes no writes for now",
        "free some disk on the server; Veille goes on by itself",
    ),
    "index_closed_exception": ("an index at {} is closed", "open it"),
    _INVALID: (
        "the search server at {} has as many shards as it may",
        "delete indices that nobody needs, or raise cluster.max_shards_per_node",
    ),
}


@dataclass(frozen=True)
class Connection:
    """A server, by its address, and as whom it is asked. Safe to use from several threads."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    write_seconds: float = WRITE_SECONDS

    @cached_property
    def ask(self) -> "Elasticsearch":
        """The client for questions. Connects when it is first asked something."""
        import elasticsearch
        from elastic_transport.client_utils import DEFAULT

        try:
            return elasticsearch.Elasticsearch(
                self.url,
                basic_auth=(self.user, self.password) if self.user else None,
                request_timeout=ASK_SECONDS,
                max_retries=0,
                connections_per_node=_CONNECTIONS,
                ca_certs=self.ca or DEFAULT,
            )
        except (OSError, ValueError) as error:  # a file of certificates that is none
            raise ConfigError(f"the certificates of {self.ca} cannot be read: {error}") from error

    def writing(self, times: float) -> "Elasticsearch":
        """The client for a batch of documents that is so many times as large as a full one."""
        return self.ask.options(request_timeout=self.write_seconds * times)

    @cached_property
    def look(self) -> "Elasticsearch":
        """The client for short questions before a batch."""
        return self.ask.options(request_timeout=self.write_seconds / 2)

    def close(self) -> None:
        if "ask" in vars(self):
            self.ask.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the client's errors into ours; what we asked in a wrong way is a bug and passes."""
        import elasticsearch

        try:
            yield
        except (elasticsearch.ApiError, elasticsearch.TransportError) as error:
            ours = self._of_answer(error) if isinstance(error, elasticsearch.ApiError) else self._of(error)
            if ours is None:
                raise
            raise ours from error

    def _of(self, error: Exception) -> VeilleError:
        """What it means that no answer came, or none that can be read."""
        import elasticsearch

        if isinstance(error, elasticsearch.ConnectionTimeout):
            said = f"the search server at {self.url} did not answer in time"
            return EngineTrouble(said, hint=_CHECK, slow=True)
        if isinstance(error, elasticsearch.SSLError):
            return ConfigError(
                f"the certificate of the search server at {self.url} is not to be trusted: {_said(error)}",
                hint="set VEILLE_INDEX_CA to the file of the authority that signed it",
            )
        if isinstance(error, elasticsearch.SerializationError):
            return EngineTrouble(f"the search server at {self.url} sent an answer that cannot be read")
        return EngineTrouble(f"the search server at {self.url} does not answer: {_said(error)}", hint=_CHECK)

    def _of_answer(self, error: Any) -> VeilleError | None:
        status, body = error.meta.status, error.body
        kind, reason = problem(body)
        if type(error).__name__ == "UnsupportedProductError" or (
            status < _SERVER_ERROR and status not in {_UNAUTHORIZED, _TOO_MANY} and not kind
        ):
            return ConfigError(f"what answers at {self.url} is no Elasticsearch", hint=_CHECK)
        if kind == "media_type_header_exception" or status == _NOT_ACCEPTABLE:
            return ConfigError(
                f"the server at {self.url} is no Elasticsearch {MAJOR}: {reason[:200]}",
                hint=f"use a server of version {MAJOR}, or the Veille that was made for it",
            )
        if status == _UNAUTHORIZED:
            return self._refused()
        return of_problem(self.url, self.user, status, kind, reason)

    def _refused(self) -> ConfigError:
        found = f"refuses the password of {self.user!r}" if self.user else "asks for a user"
        return ConfigError(
            f"the search server at {self.url} {found}",
            hint="set VEILLE_INDEX_USER and VEILLE_INDEX_PASSWORD",
        )


def of_problem(url: str, user: str, status: int, kind: str, reason: str) -> VeilleError | None:
    """What a refusal means that is not about one document, be it of a request or of an item of a batch."""
    if kind in _FOR_NOW and (kind != _INVALID or "shards open" in reason):
        said, hint = _FOR_NOW[kind]
        return EngineTrouble(f"{said.format(url)}: {reason[:200]}", hint=hint)
    if kind == "index_not_found_exception":
        return missing(url)
    if status == _FORBIDDEN or kind == "security_exception":
        return ConfigError(f"{user!r} may not do this at {url}: {reason[:200]}", hint=SETUP)
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        return EngineTrouble(f"the search server at {url} answers {status} {kind}".rstrip())
    return None


def problem(body: object) -> tuple[str, str]:
    """The kind of an error and its reason, as the server says them; empty where it is not the server's.

    Without the text of the field that it may quote.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    roots = error.get("root_cause") or [error]
    root = roots[0] if isinstance(roots[0], dict) else error
    said = [str(reason).partition(" Preview of field")[0] for reason in (root.get("reason"), *_causes(error))]
    kind = root.get("type") or error.get("type") or ""
    return str(kind), ": ".join(reason for reason in dict.fromkeys(said) if reason not in ("", "None"))


def refused_template(url: str, reason: str) -> ConfigError:
    """The error of a template that the server does not take."""
    if re.search(r"Unknown \w+ type|failed to find \w+ under name", reason):
        return ConfigError(
            f"the search server at {url} lacks what the analysis of French needs: {reason[:200]}",
            hint=f"use the usual distribution of Elasticsearch {MAJOR}, then run: veille index setup",
        )
    if other := re.search(r"matching patterns from existing templates \[([^\]]+)\]", reason):
        return ConfigError(
            f"the name of this index and that of another one at {url} begin alike: {other[1]}",
            hint="set VEILLE_INDEX_NAME so that neither name is the beginning of the other",
        )
    return ConfigError(f"the search server at {url} refuses the index template: {reason[:300]}")


def _causes(error: dict[str, Any]) -> Iterator[object]:
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        yield cause.get("reason")
        cause = cause.get("caused_by")


def _said(error: BaseException) -> str:
    """The system's word for what went wrong, out of the libraries' nested errors."""
    nested = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        nested.append(str(error))
    for pattern in (
        r"certificate verify failed: ([^(]+)",
        r"\[SSL[^]]*\] ([^(]+)",
        r"\[Errno -?\d+\] ([^')\]]+)",
    ):
        for text in nested:
            if found := re.search(pattern, text):
                return found[1].strip()
    return nested[-1][:200]
