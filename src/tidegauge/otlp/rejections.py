"""Rejected items, gathered by reason."""

from __future__ import annotations

from typing import TypeAlias

from google.protobuf.message import Message

from tidegauge.model.batch import Rejection
from tidegauge.model.samples import JSON_TYPE, SAMPLE_BYTES

REPLACED = "strings that are not UTF-8 are stored with U+FFFD in the place of what cannot be read"
"""The message of ``invalid_text``."""
_DISTINCT = 100
_Kind: TypeAlias = tuple[str, str, str]
"""(reason, message, service)"""


class Rejections:
    """Counts items by (reason, message, service) and keeps the first of each kind as its sample.

    At most 100 kinds have a message of their own, so that a hostile request stays small; what comes after is counted by reason alone.

    ``malformed`` are the places, in order, of the items that are not in the message of a request since they could not be read; ``read`` is
    how many items the request has so far, these included. ``service`` is the sender of the items that come next, "" where it is not known.
    """

    __slots__ = ("_items", "_samples", "malformed", "read", "service")

    def __init__(self) -> None:
        self.malformed: list[int] = []
        self.read = 0
        self.service = ""
        self._items: dict[_Kind, int] = {}
        self._samples: dict[_Kind, tuple[bytes, str]] = {}

    def add(self, reason: str, message: str, item: Message | bytes, items: int = 1, type_: str = JSON_TYPE) -> None:
        """Count ``items`` that are not stored; 0 for a warning about something that is.

        ``item`` is its message, or bytes of ``type_`` (``model.batch.Rejection``).
        """
        kind = (reason, message, self.service)
        if kind not in self._items and len(self._items) >= _DISTINCT:
            kind = (reason, "further items", "")
        if kind not in self._items:
            sample, type_ = (item, type_) if isinstance(item, bytes) else (item.SerializeToString(), item.DESCRIPTOR.name)
            self._samples[kind] = (sample[:SAMPLE_BYTES], type_)
        self._items[kind] = self._items.get(kind, 0) + items

    def listed(self) -> list[Rejection]:
        """One entry a kind, in the order of first occurrence."""
        return [
            Rejection(reason, message, items, *self._samples[reason, message, service], service)
            for (reason, message, service), items in self._items.items()
        ]
