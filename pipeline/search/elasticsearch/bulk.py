"""Writes in batches, with a verdict for each document.

Not by the client's own helpers: of 1 000 documents they left 73 to 200 behind when the server was in trouble,
since one failed request ends them. Nothing is repeated here: a failed request is an error that can be met by
writing the same documents again, and so is what the server put off.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson

from pipeline import failpoints
from pipeline.errors import EngineTrouble
from pipeline.search import Refusal, Verdicts
from pipeline.search.elasticsearch.connection import Connection, of_problem, problem

MOST: Final = 500  # operations in a request
# In a request; a document that is larger goes alone. One core of a server reads two megabytes of French in
# about 4 s, before the writer gives the request up. With 1 MB the writer had .85 of the speed of the client's
# own helpers, with 2 MB .95.
MOST_BYTES: Final = 2_000_000
_REASON: Final = 500  # characters of a refusal that are kept
_ANSWER: Final = ("items.*.status", "items.*.error")  # as much as the verdicts need


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


def send(connection: Connection, operations: Iterable[Operation]) -> Verdicts:
    """Carry out the operations.

    Raises EngineTrouble where a request failed as a whole: what came before it is done, the rest unknown.
    Raises ConfigError and NotFound for what is wrong with more than one document.
    """
    refused: dict[str, Refusal] = {}
    later: dict[str, Refusal] = {}
    for number, batch in enumerate(_batches(operations)):
        if number:
            failpoints.reach("between_bulks")
        for operation, item in _answered(connection, batch):
            _judge(connection, operation, item, refused, later)
    for id_ in refused:  # what one index refused for good is not offered again because another put it off
        later.pop(id_, None)
    return Verdicts(tuple(refused.values()), tuple(later.values()))


def _header(action: str, index: str, id_: str, version: int) -> bytes:
    target = {"_index": index, "_id": id_, "version": version, "version_type": "external_gte"}
    return orjson.dumps({action: target})


def _batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        if batch and (len(batch) == MOST or size + operation.size > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(operation)
        size += operation.size
    if batch:
        yield batch


def _answered(
    connection: Connection, batch: Sequence[Operation]
) -> Iterator[tuple[Operation, dict[str, Any]]]:
    """Each operation with its answer. What stands before the server may take less than it does."""
    import elasticsearch

    lines: Any = [line for operation in batch for line in operation.lines]
    with connection.translated():
        try:
            answer = connection.write.bulk(operations=lines, filter_path=_ANSWER).body
        except elasticsearch.ApiError as error:
            if error.meta.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            answer = {}
        else:
            yield from zip(batch, _items(connection, answer, len(batch)), strict=True)
            return
    if len(batch) == 1:
        reason = f"the server takes no request of {batch[0].size:,} bytes"
        yield batch[0], {"status": 413, "error": {"type": "too_large", "reason": reason}}
        return
    middle = len(batch) // 2
    yield from _answered(connection, batch[:middle])
    yield from _answered(connection, batch[middle:])


def _items(connection: Connection, answer: object, expected: int) -> list[dict[str, Any]]:
    """What the server says of each operation. Raises EngineTrouble unless it says something of all."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if isinstance(items, list) and len(items) == expected:
        said = [next(iter(item.values()), None) if isinstance(item, dict) else None for item in items]
        found = [item for item in said if isinstance(item, dict) and isinstance(item.get("status"), int)]
        if len(found) == expected:
            return found
    raise EngineTrouble(f"the search server at {connection.url} sent an answer that cannot be read")


def _judge(
    connection: Connection,
    operation: Operation,
    item: dict[str, Any],
    refused: dict[str, Refusal],
    later: dict[str, Refusal],
) -> None:
    status = item["status"]
    # 409: the index has a newer one. 404 without an error: what was to be deleted is not there.
    if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.CONFLICT or "error" not in item:
        return
    kind, reason = problem(item)
    error = of_problem(connection.url, connection.user, status, kind, reason)
    if isinstance(error, EngineTrouble):
        later[operation.id] = Refusal(operation.id, str(error))
    elif error is not None:
        raise error
    else:
        refused[operation.id] = Refusal(operation.id, f"{kind}: {reason}"[:_REASON])
