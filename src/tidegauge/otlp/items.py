"""What spans and logs have in common on their way to columns: rows gathered chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from tidegauge.otlp.budget import Budget
from tidegauge.otlp.values import JsonColumns

Row = tuple[Any, ...]
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


class Rows:
    """Rows of a batch: tuples of most columns (one append an item), and the columns ``attributes`` and ``original`` beside them."""

    __slots__ = ("_budget", "_row_bytes", "_sent", "attributes", "originals", "rows")

    def __init__(self, budget: Budget, row_bytes: int, sent: Mapping[bytes, bytes]) -> None:
        """``sent``: of items under way that are not as they were sent, what they were."""
        self._sent = sent
        self._budget = budget
        self._row_bytes = row_bytes
        self.rows: list[Row] = []
        self.attributes: list[bytes] = []
        self.originals: list[bytes | None] = []

    def __len__(self) -> int:
        return len(self.rows)

    def add(
        self, rows: list[Row], attributes: list[dict[str, object]], items: Sequence[Message], columns: JsonColumns, lossy: Sequence[int]
    ) -> None:
        """Add a chunk: of each item its row, attributes and message; ``lossy`` are positions of items whose columns are not faithful.

        ``columns`` made what JSON there is in the rows.

        Raises:
            PayloadTooLarge: the request's budget is spent.

        """
        texts, replaced = columns.texts(attributes)
        originals: list[bytes | None] = [None] * len(rows)
        for position in (*lossy, *replaced):
            original = originals[position] = items[position].SerializeToString()
            columns.written += len(original)
        if self._sent:
            for position, item in enumerate(items):
                originals[position] = self._sent.get(item.SerializeToString(), originals[position])
        self.rows += rows
        self.attributes += texts
        self.originals += originals
        self._budget.spend(len(rows) * self._row_bytes + columns.written)

    def fill(self, batch: Any, names: Sequence[str]) -> None:
        """Set the batch's columns: ``names`` are those of the rows, in their order."""
        for name, column in zip(names, zip(*self.rows, strict=True), strict=False):
            setattr(batch, name, list(column))
        batch.attributes = self.attributes
        batch.original = self.originals
