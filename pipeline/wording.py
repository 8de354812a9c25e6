"""How figures stand in sentences for people. *Pure.* Does not know what is counted."""


def counted(n: int, one: str, many: str = "") -> str:
    """« 1 entry », « 2 entries »; without `many`, an s is added."""
    return f"{n} {one if n == 1 else many or f'{one}s'}"
