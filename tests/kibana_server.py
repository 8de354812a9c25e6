"""What stands in for Kibana: its import API as it is documented, checking every request and every object.

Draws nothing and keeps nothing but what was imported.
"""

import base64
import email.policy
import http.server
import json
import threading
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Self
from urllib.parse import parse_qs, urlsplit

from pipeline.kibana.objects import CORE_VERSION, VERSIONS

IMPORT = "/api/saved_objects/_import"
MOST = 26_214_400  # savedObjects.maxImportPayloadBytes
REFERRED = ("index-pattern", "search")  # whose absence fails an import


class Refused(Exception):
    """An answer other than 200, as Kibana words it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Kibana:
    """A server on loopback; `answer` replaces what it would say, for tests of what it may say."""

    user: str = "elastic"
    password: str = "a password of enough letters"
    port: int = 0
    answer: tuple[int, bytes] | None = None
    wrap: object = None  # makes its socket one of TLS
    imported: dict[tuple[str, str], dict] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        kibana = self

        class Handler(_Handler):
            served = kibana

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if self.wrap:
            self._server.socket = self.wrap(self._server.socket)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http{'s' if self.wrap else ''}://127.0.0.1:{self.port}"

    def take(self, headers, path: str, query: str, body: bytes) -> dict:
        """Import what was posted. Raises Refused."""
        if path != IMPORT:
            raise Refused(404, "Not Found")
        self._check_user(headers)
        if "kbn-xsrf" not in headers:
            raise Refused(400, "Request must contain a kbn-xsrf header.")
        options = parse_qs(query)
        if unknown := set(options) - {"overwrite", "createNewCopies", "compatibilityMode"}:
            raise Refused(400, f"[request query.{unknown.pop()}]: definition for this key is missing")
        if len(body) > MOST:
            raise Refused(413, "Payload content length greater than maximum allowed")
        objects = [_line(line) for line in _file(headers, body).splitlines()]
        keys = [(one["type"], one["id"]) for one in objects]
        if twice := {f"{kind}:{id_}" for kind, id_ in keys if keys.count((kind, id_)) > 1}:
            raise Refused(400, f"Non-unique import objects detected: [{','.join(sorted(twice))}]")
        return self._store(objects, overwrite=options.get("overwrite") == ["true"])

    def _check_user(self, headers) -> None:
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if headers.get("authorization") != f"Basic {expected}":
            raise Refused(401, "unable to authenticate user for REST request")

    def _store(self, objects: list[dict], *, overwrite: bool) -> dict:
        known = {(one["type"], one["id"]) for one in objects} | self.imported.keys()
        errors, results = [], []
        for one in objects:
            key = (one["type"], one["id"])
            lost = [
                r for r in one["references"] if r["type"] in REFERRED and (r["type"], r["id"]) not in known
            ]
            if lost:
                errors.append(_error(one, {"type": "missing_references", "references": lost}))
            elif key in self.imported and not overwrite:
                errors.append(_error(one, {"type": "conflict"}))
            else:
                results.append({"type": key[0], "id": key[1], "meta": {"title": one["attributes"]["title"]}})
        if not errors:  # both kinds of error that are made here are such after which Kibana writes nothing
            self.imported |= {(one["type"], one["id"]): one for one in objects}
        answer = {
            "success": not errors,
            "successCount": len(results),
            "successResults": results,
            "warnings": [],
        }
        return answer | ({"errors": errors} if errors else {})


def _file(headers, body: bytes) -> str:
    """The one part of the form, `file`, whose name ends in .ndjson."""
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise Refused(415, "Unsupported Media Type")
    form = BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
    )
    parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    if set(parts) != {"file"}:
        raise Refused(400, "[request body.file]: expected value of type [Stream] but got [undefined]")
    name = parts["file"].get_filename() or ""
    if not name.lower().endswith(".ndjson"):
        raise Refused(400, f"Invalid file extension {name.rpartition('.')[2]}")
    return parts["file"].get_payload(decode=True).decode()


def _line(line: str) -> dict:
    try:
        one = json.loads(line)
    except ValueError as error:
        raise Refused(400, f"Unexpected token in JSON: {error}") from error
    for name, latest in (
        ("typeMigrationVersion", VERSIONS.get(one["type"])),
        ("coreMigrationVersion", CORE_VERSION),
    ):
        if latest is None:
            raise Refused(400, f"Unsupported saved object type: {one['type']}")
        if _version(one[name]) > _version(latest):
            raise Refused(
                422, f'Document "{one["id"]}" belongs to a more recent version of Kibana [{one[name]}].'
            )
    return one


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def _error(one: dict, reason: dict) -> dict:
    title = one["attributes"]["title"]
    return {"type": one["type"], "id": one["id"], "meta": {"title": title}, "error": reason}


class _Handler(http.server.BaseHTTPRequestHandler):
    served: Kibana

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = urlsplit(self.path)
        self.served.requests.append(self.path)
        if self.served.answer:
            self._say(*self.served.answer)
            return
        try:
            taken = self.served.take(self.headers, parts.path, parts.query, body)
            self._say(200, json.dumps(taken).encode())
        except Refused as error:
            said = {"statusCode": error.status, "error": "Refused", "message": str(error)}
            self._say(error.status, json.dumps(said).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged: requests carry passwords."""
