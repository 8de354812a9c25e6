"""What a robots.txt allows Veille (RFC 9309). *Pure.*

Does not fetch the file, keep it or wait: callers do, and decide what an unreadable one costs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from protego import Protego

AGENT = "Veille"  # our product token: what a group of rules has to name
CAP = 500 * 1024  # RFC 9309, 2.5: so much must be read; what follows is ignored

FOUND = range(200, 300)  # statuses whose body holds rules
_ANSWERED = range(200, 500)
_NOT_MODIFIED = 304

_LINE_END = re.compile(r"\r\n?|\n")
_USER_AGENT = re.compile(r"\s*user[- ]?agent\s*[:\s]\s*(?P<name>[^#]*)", re.IGNORECASE)
_RULE = re.compile(r"\s*(?:allow|d[a-z]*a[a-z]*w|crawl[- ]delay)\b", re.IGNORECASE)  # and "disalow"
_TOKEN = re.compile(r"[A-Za-z_-]*")
_BAD_BYTE = re.compile(r"[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one host. Unreadable ones allow nothing until they can be read."""

    readable: bool
    _protego: Protego

    @classmethod
    def parse(cls, status: int | None, body: bytes) -> Self:
        """Read what came for /robots.txt, redirects followed; `status` is None if no whole file came.

        RFC 9309, 2.3.1: a 2xx is obeyed, 3xx (still redirecting) and 4xx mean that there are no rules, all
        else that they cannot be read. 304 is no answer to whoever has nothing.
        """
        readable = status in _ANSWERED and status != _NOT_MODIFIED
        lines = _own_lines(_text(body)) if status in FOUND else ()
        return cls(readable, Protego.parse("\n".join(lines)))

    def allows(self, url: str) -> bool:
        """Whether `url`, one of this host, may be fetched."""
        return self.readable and self._protego.can_fetch(url, AGENT)

    @property
    def crawl_delay(self) -> float | None:
        """Seconds to leave between two requests, 0 or more; None if the file names none for us."""
        return self._protego.crawl_delay(AGENT)


def _text(body: bytes) -> str:
    """UTF-8, as the RFC has it; UTF-16 if it says so; bytes of other encodings as URLs carry them, %XX."""
    if len(body) >= CAP:
        body = body[:CAP].rpartition(b"\n")[0]  # half a rule could forbid or allow far too much
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    text = body.decode("utf-8-sig", errors="surrogateescape")
    return _BAD_BYTE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", text)


def _own_lines(text: str) -> Iterator[str]:
    """The lines that can concern us, so that Protego reads them as the RFC does: it takes an agent's name for
    a prefix and ends groups at unknown lines; here names are whole tokens, and unknown lines are left out.
    """
    for line in _LINE_END.split(text):
        if named := _USER_AGENT.match(line):
            yield f"User-agent: {_agent(named['name'].strip())}"
        elif _RULE.match(line):
            yield " ".join(line.splitlines())  # Protego would break the line at form feeds and the like


def _agent(name: str) -> str:
    if name.partition(" ")[0] == "*":
        return "*"
    token = _TOKEN.match(name.lstrip("*"))
    return AGENT if token and token[0].lower() == AGENT.lower() else "somebody-else"
