"""What spans and logs have in common on their way to columns: their lists, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

Part = tuple[Any, Any]
"""A part of a request: its official message and its lean twin, which have the same items at the same places."""
CHUNK = 512
"""Items that are decoded at once; bounds what is held twice."""


def chunks(items: Sequence[Any]) -> Iterator[tuple[range, Sequence[Any]]]:
    """A list's items, so many at a time, and their places in it."""
    for first in range(0, len(items), CHUNK):
        found = items[first : first + CHUNK]
        yield range(first, first + len(found)), found


def originals(sent: Mapping[bytes, bytes], found: Sequence[bytes | None], items: Sequence[Message]) -> list[bytes | None]:
    """What was sent for items that had to be changed so that they could be read; for the others what was ``found``."""
    return [sent.get(item.SerializeToString(), original) for item, original in zip(items, found, strict=True)]
