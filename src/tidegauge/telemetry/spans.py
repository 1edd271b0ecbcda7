"""The seam between what is observed and who makes spans of it; :mod:`tidegauge.telemetry.tracing` does, where it is set up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from tidegauge.storage.interface import IngestRequest
from tidegauge.telemetry.requests import RequestSpans


class Spans(RequestSpans, Protocol):
    """Makes spans of requests, of what they ask in turn, and of commits."""

    def question(self, dependency: str, operation: str) -> AbstractContextManager[object]:
        """A span within the present one; nothing where there is none that is kept."""
        ...

    def commit(self, store: str, requests: Sequence[IngestRequest]) -> AbstractContextManager[object]:
        """A span of its own; nothing where all that is stored are spans of Tidegauge's own making, or there would be no end of them."""
        ...
