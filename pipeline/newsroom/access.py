"""The newsroom's access log: one line of JSON for each request, written when its answer has ended.

Does not judge what it says; tests of politeness do.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

LOG_BYTES = 20 << 20  # some 100 000 requests; one older file is kept


@dataclass(frozen=True, slots=True)
class Access:
    """One request and its answer. `time` is when it arrived, by the real clock, not by the newsroom's."""

    time: datetime
    seconds: float  # until the last byte of the answer was written, or the connection broke
    host: str  # without port, lower case
    method: str
    path: str  # with query
    status: int
    conditional: bool  # it named what it has: If-None-Match or If-Modified-Since


def note(file: Path, access: Access) -> None:
    """Append a line by one write, so that threads do not mix theirs."""
    line = json.dumps(asdict(access) | {"time": access.time.isoformat()}, ensure_ascii=False)
    with file.open("ab", buffering=0) as log:
        log.write(f"{line}\n".encode())


def turn(file: Path) -> None:
    """Begin a new file where the old one is long."""
    if file.exists() and file.stat().st_size > LOG_BYTES:
        file.replace(file.with_name(f"{file.name}.1"))


def read(file: Path) -> list[Access]:
    """All that `file` holds, in the order in which answers ended; nothing where it does not exist."""
    if not file.exists():
        return []
    lines = map(json.loads, file.read_text("utf-8").splitlines())
    return [Access(**line | {"time": datetime.fromisoformat(line["time"]).astimezone(UTC)}) for line in lines]
