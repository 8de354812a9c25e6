"""The statements, by name. A file holds blocks that start with `-- name: the_name`.

Does not run them, and does not know what they take.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(noun: str) -> dict[str, bytes]:
    """The statements of `<noun>.sql`."""
    parts = _NAME.split((Path(__file__).parent / f"{noun}.sql").read_text(encoding="utf-8"))
    return {name: body.strip().encode() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
