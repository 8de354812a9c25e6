"""Standard output, so that whatever goes wrong with it can be told apart from files, and nothing is lost.

Does not decide what is written.
"""

import io
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAME = "standard output"


def opened(stream: TextIO) -> TextIO:
    """The same output; what its encoding lacks is shown as « ? », and its errors name it as their file."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Named(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.isatty(),
    )


class _Named(io.FileIO):
    """Inherits because nothing else stands between Python's buffer and the kernel."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, NAME) from error
