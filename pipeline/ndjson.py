"""One line of NDJSON as a record. *Pure.*

Does not know which fields a record has.
"""

from typing import Any

import orjson

from pipeline.errors import Unparsable


def record(line: bytes) -> dict[str, Any]:
    """The JSON object that the line holds. Raises Unparsable with the reason."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unparsable(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Unparsable("a JSON object a line is expected")
    return found
