"""How figures and paths stand in sentences for people. *Pure.* Does not know what is counted."""

from pathlib import PurePath


def counted(n: int, one: str, many: str = "") -> str:
    """« 1 entry », « 2 entries »; without `many`, an s is added."""
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def short(path: PurePath, here: PurePath) -> str:
    """The path from the folder `here`, if it lies there, else whole."""
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
