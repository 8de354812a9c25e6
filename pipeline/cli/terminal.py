"""rich's console, except that a reader who has gone is an error like any other.

Does not decide what becomes of it: `app` does.
"""

from rich.console import Console


class Terminal(Console):
    """Raises BrokenPipeError, where rich would end the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
