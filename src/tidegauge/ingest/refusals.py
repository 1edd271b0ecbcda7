"""Requests that are refused as a whole: nothing of them is stored, and their sender gets an error. The log tells of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tidegauge.errors import TidegaugeError
from tidegauge.model.batch import Signal

_logger = logging.getLogger(__name__)
_EVERY_NS = 10_000_000_000
_LENGTH = 500


class RefusalLog:
    """One line a signal in ten seconds at the most, with how many there were since the line before."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._untold: dict[Signal, int] = {}
        self._told_ns: dict[Signal, int] = {}

    def note(self, signal: Signal, endpoint: str, size: int, error: TidegaugeError) -> None:
        """A request of ``size`` bytes was refused."""
        now_ns = self._now_ns()
        if now_ns - self._told_ns.get(signal, -_EVERY_NS) < _EVERY_NS:
            self._untold[signal] = self._untold.get(signal, 0) + 1
            return
        self._told_ns[signal] = now_ns
        more = self._untold.pop(signal, 0)
        since = f" ({more} more were since the last one told)" if more else ""
        _logger.warning("a request of %d bytes to %s was refused: %s%s", size, endpoint, str(error)[:_LENGTH], since)
