"""Writes in requests, with a verdict for each document.

Not by the client's own helpers: of 1 000 documents they left 73 to 200 behind when the server was in trouble,
since one failed request ends them. Nothing is repeated here: a request that fails ends the call, and whoever
wrote waits, and writes again what is not done.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson

from pipeline import failpoints
from pipeline.errors import EngineTrouble, NotFound
from pipeline.search import Refusal, Verdicts
from pipeline.search.elasticsearch.connection import Connection, of_problem, problem
from pipeline.search.elasticsearch.portion import MOST_BYTES, Portion

_REASON: Final = 500  # characters of a refusal that are kept
_ANSWER: Final = ("items.*.status", "items.*.error")  # as much as the verdicts need
# That the server itself waits for an index which is not there: less than we wait for the server, so that its
# answer names the documents of that index, and the others are done.
_SERVER_WAITS: Final = "3s"


class _TooLargeError(Exception):
    """What stands before the server takes less than the server does."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One document written into one index, or deleted from it."""

    id: str
    lines: tuple[bytes, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.lines)) + len(self.lines)


def indexing(index: str, id_: str, version: int, body: bytes) -> Operation:
    """Write the document, unless the index holds or has deleted a newer one."""
    return Operation(id_, (_header("index", index, id_, version), body))


def deleting(index: str, id_: str, version: int) -> Operation:
    """Delete the document, unless the index holds a newer one; the deletion keeps older ones out."""
    return Operation(id_, (_header("delete", index, id_, version),))


def send(connection: Connection, portion: Portion, operations: Sequence[Operation]) -> Verdicts:
    """Carry out the operations; a document is done when all that is to be done to it is.

    The first request that fails as a whole is the last one, as the verdicts say. Raises ConfigError for what
    is wrong with more than one document.
    """
    answers = _Answers(connection, operations)
    sent = 0
    while sent < len(operations):
        if sent:
            failpoints.reach("between_bulks")
        batch = portion.of(operations, sent)
        try:
            items = _answered(connection, batch)
        except _TooLargeError:
            portion.was_too_much(batch)
            if len(batch) > 1:
                continue
            items = [_too_large(batch[0])]
        except EngineTrouble as error:
            portion.was_too_much(batch)
            return answers.broken_off(error, batch)
        troubles = [answers.hear(one, item) for one, item in zip(batch, items, strict=True)]
        if troubles[0] and all(troubles):  # a request of which nothing is taken has failed, too
            portion.was_too_much(batch)
            return answers.broken_off(troubles[0], batch)
        portion.was_right()
        sent += len(batch)
    return answers.verdicts()


def _header(action: str, index: str, id_: str, version: int) -> bytes:
    target = {"_index": index, "_id": id_, "version": version, "version_type": "external_gte"}
    return orjson.dumps({action: target})


def _answered(connection: Connection, batch: Sequence[Operation]) -> list[dict[str, Any]]:
    """What the server says of each operation. What is larger than a full request has as much more time."""
    import elasticsearch

    lines: Any = [line for operation in batch for line in operation.lines]
    client = connection.writing(max(1.0, sum(operation.size for operation in batch) / MOST_BYTES))
    with connection.translated():
        try:
            answer = client.bulk(operations=lines, filter_path=_ANSWER, timeout=_SERVER_WAITS).body
        except elasticsearch.ApiError as error:
            if error.meta.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise _TooLargeError from error
            raise
    return _items(connection, answer, len(batch))


def _too_large(operation: Operation) -> dict[str, Any]:
    reason = f"the server takes no request of {operation.size:,} bytes"
    return {"status": 413, "error": {"type": "too_large", "reason": reason}}


def _items(connection: Connection, answer: object, expected: int) -> list[dict[str, Any]]:
    """What the server says of each operation. Raises EngineTrouble unless it says something of all."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if isinstance(items, list) and len(items) == expected:
        said = [next(iter(item.values()), None) if isinstance(item, dict) else None for item in items]
        found = [item for item in said if isinstance(item, dict) and isinstance(item.get("status"), int)]
        if len(found) == expected:
            return found
    raise EngineTrouble(f"the search server at {connection.url} sent an answer that cannot be read")


class _Answers:
    """What the server has said of documents so far."""

    def __init__(self, connection: Connection, operations: Sequence[Operation]) -> None:
        self._connection = connection
        self._open = Counter(operation.id for operation in operations)  # without an answer
        self._refused: dict[str, Refusal] = {}
        self._later: dict[str, Refusal] = {}
        self._put_back: set[str] = set()

    def hear(self, operation: Operation, item: dict[str, Any]) -> EngineTrouble | None:
        """Note the answer to an operation; return it where it says that the server takes nothing for now."""
        self._open[operation.id] -= 1
        status, id_ = item["status"], operation.id
        # 409: the index has a newer one. 404 without an error: what was to be deleted is not there.
        if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.CONFLICT or "error" not in item:
            return None
        kind, reason = problem(item)
        error = of_problem(self._connection.url, self._connection.user, status, kind, reason)
        if error is None:
            self._refused[id_] = Refusal(id_, f"{kind}: {reason}"[:_REASON])
        elif not isinstance(error, EngineTrouble | NotFound):
            raise error
        elif isinstance(error, EngineTrouble) and (
            status == HTTPStatus.TOO_MANY_REQUESTS or kind == "cluster_block_exception"
        ):
            self._put_back.add(id_)
            return error
        else:  # the trouble of its index, which may have been removed a moment ago
            self._later[id_] = Refusal(id_, str(error))
        return None

    def broken_off(self, trouble: EngineTrouble, batch: Sequence[Operation]) -> Verdicts:
        """The verdicts where the request of this batch failed. A document alone in it may be the cause."""
        ids = {operation.id for operation in batch}
        if len(ids) == 1:
            self._later |= {id_: Refusal(id_, str(trouble)) for id_ in ids}
        return self.verdicts(trouble)

    def verdicts(self, trouble: EngineTrouble | None = None) -> Verdicts:
        """What one index refused for good is not offered again because another put it off."""
        later = {id_: refusal for id_, refusal in self._later.items() if id_ not in self._refused}
        known = self._refused.keys() | later.keys()
        untold = [
            id_ for id_, left in self._open.items() if (left or id_ in self._put_back) and id_ not in known
        ]
        return Verdicts(tuple(self._refused.values()), tuple(later.values()), tuple(untold), trouble)
