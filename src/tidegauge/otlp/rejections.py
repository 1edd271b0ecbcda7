"""Rejected items, gathered by reason."""

from __future__ import annotations

from google.protobuf.message import Message

from tidegauge.model.batch import Rejection

SAMPLE_BYTES = 4096
_DISTINCT = 100


class Rejections:
    """Counts items by (reason, message) and keeps the first of each kind as its sample.

    At most 100 kinds have a message of their own, so that a hostile request stays small; what comes after is counted by reason alone.

    ``malformed`` are the places, in order, of the items that are not in the message of a request since they could not be read; ``read`` is
    how many items the request has so far, these included.
    """

    __slots__ = ("_items", "_samples", "malformed", "read")

    def __init__(self) -> None:
        self.malformed: list[int] = []
        self.read = 0
        self._items: dict[tuple[str, str], int] = {}
        self._samples: dict[tuple[str, str], bytes] = {}

    def add(self, reason: str, message: str, item: Message | bytes, items: int = 1) -> None:
        """Count ``items`` that are not stored; 0 for a warning about something that is. ``item`` is its message, or its JSON."""
        key = (reason, message)
        if key not in self._items and len(self._items) >= _DISTINCT:
            key = (reason, "further items")
        if key not in self._items:
            sample = item if isinstance(item, bytes) else item.SerializeToString()
            self._samples[key] = sample[:SAMPLE_BYTES]
        self._items[key] = self._items.get(key, 0) + items

    def listed(self) -> list[Rejection]:
        """One entry a kind, in the order of first occurrence."""
        return [Rejection(reason, message, items, self._samples[reason, message]) for (reason, message), items in self._items.items()]
