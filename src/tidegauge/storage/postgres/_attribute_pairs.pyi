from collections.abc import Container
from typing import Any

def pieces(
    attributes: list[bytes],
    events: list[bytes | None],
    starts: list[int],
    resources: list[int],
    applications: list[int],
    known: Container[tuple[int, int]],
) -> list[Any]: ...
