"""Processes that the benchmark starts: each ends when the benchmark does, however that ends.

Does not know what they do. They have sessions of their own, so that Ctrl-C reaches the benchmark alone, which
ends them in its own order.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import offspring

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A process ended without an answer; says its last words."""


class Child:
    """A Python program that answers lines of JSON with lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]", said: Path) -> None:
        self._process, self._said = process, said

    def ask(self, question: object = None) -> Any:
        """The answer to one question, or, without one, what the child says by itself. Raises Failed."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended: so will the answer
            if question is not None:
                self._process.stdin.write(json.dumps(question) + "\n")
                self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            last = self._said.read_text(errors="replace").strip().splitlines()[-1:]
            raise Failed(" ".join(last) or f"exit code {self._process.wait()}")
        return json.loads(answer)


@contextlib.contextmanager
def started(scratch: Path, *program: object, python: Path = Path(sys.executable)) -> Iterator[Child]:
    """Run `program` (a file, or -m and a module, with arguments) until the block ends.

    To be entered in the main thread: Linux ends the child with the thread that started it.
    """
    said = scratch / f"said-{os.urandom(4).hex()}.log"
    command = [str(python), "-P", offspring.__file__, str(os.getpid()), *map(str, program)]
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Child(process, said)
        finally:
            process.kill()
