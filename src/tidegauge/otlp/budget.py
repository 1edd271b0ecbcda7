"""What a request may take decoded. Rows cost more than the bytes they come from: an empty log record has 2 and becomes a row of 450."""

from __future__ import annotations

from tidegauge.errors import PayloadTooLarge

FREE_BYTES = 32 * 1024 * 1024
FACTOR = 8
"""Spans with attributes take about 2 times their bytes, points of 20 bytes 15 times."""
SPAN_BYTES, LOG_BYTES = 700, 450
NUMBER_BYTES, HISTOGRAM_BYTES, SUMMARY_BYTES, EXEMPLAR_BYTES = 300, 550, 400, 250
SERIES_BYTES, ORIGIN_BYTES = 1000, 700
COUNT_BYTES, QUANTILE_BYTES = 72, 110
"""Rows and what lists in them hold (a bucket's count with its bound), without strings; measured, they need not be exact."""


class Budget:
    """Counts the decoded bytes of one request, about: up to 32 MiB and 8 times its body."""

    __slots__ = ("_kept", "_limit", "body_bytes", "used")

    def __init__(self, body_bytes: int) -> None:
        self.body_bytes = body_bytes
        self._limit = FREE_BYTES + FACTOR * body_bytes
        self.used = 0
        self._kept = 0

    def spend(self, size: int) -> None:
        """Count ``size`` bytes.

        Raises:
            PayloadTooLarge: they are more than the budget.

        """
        self.used += size
        if self.used > self._limit:
            raise PayloadTooLarge(
                f"the body of {self.body_bytes} bytes takes more than {self._limit} bytes of memory: it has a great many small items",
                hint="send smaller batches",
            )

    def keep(self, size: int) -> None:
        """Count what stays where rows are taken back. Raises what :meth:`spend` does."""
        self._kept += size
        self.spend(size)

    def mark(self) -> int:
        """A place to go back to."""
        return self.used - self._kept

    def go_back(self, mark: int) -> None:
        """Forget what was counted since, but for what stays."""
        self.used = mark + self._kept
