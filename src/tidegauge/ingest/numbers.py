"""What is counted of requests with telemetry."""

from __future__ import annotations

from typing import Protocol

from tidegauge.errors import RetryableError, TidegaugeError
from tidegauge.model.batch import Signal
from tidegauge.storage.interface import IngestOutcome, IngestRequest


class IngestNumbers(Protocol):
    """Counts requests; a few steps each, none an item."""

    def stored(self, request: IngestRequest, outcome: IngestOutcome) -> None:
        """A request was stored, now or before."""
        ...

    def refused(self, signal: Signal, error: TidegaugeError) -> None:
        """A request was refused as a whole, for what it is (4xx) or because of a defect (500)."""
        ...

    def turned_away(self, error: RetryableError) -> None:
        """A request was told to come again."""
        ...


class Uncounted:
    """:class:`IngestNumbers` that nobody wants to know."""

    def stored(self, request: IngestRequest, outcome: IngestOutcome) -> None:
        """Count nothing."""

    def refused(self, signal: Signal, error: TidegaugeError) -> None:
        """Count nothing."""

    def turned_away(self, error: RetryableError) -> None:
        """Count nothing."""
