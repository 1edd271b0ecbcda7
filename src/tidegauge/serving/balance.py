"""Which worker gets a connection: the one with the fewest. By chance, as the kernel does it, four connections may all meet one worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection


class Balance:
    """Open connections by worker and listener. Workers are named by any number that is theirs alone."""

    def __init__(self) -> None:
        self._open: dict[int, Counter[int]] = {}
        self._leaving: dict[int, Counter[int]] = {}

    def join(self, worker: int) -> None:
        """A worker takes connections from now on."""
        self._open[worker] = Counter()
        self._leaving[worker] = Counter()

    def drop(self, worker: int) -> None:
        """A worker has gone, and its connections with it."""
        self._open.pop(worker, None)
        self._leaving.pop(worker, None)

    @property
    def workers(self) -> Collection[int]:
        """Those that take connections."""
        return self._open.keys()

    def order(self, listener: int) -> list[int]:
        """Workers, those with the fewest connections of this listener first; all listeners decide between equals."""
        return sorted(
            self._open, key=lambda worker: (self._open[worker][listener] - self._leaving[worker][listener], self._open[worker].total())
        )

    def opened(self, worker: int, listener: int) -> None:
        """A worker was given a connection."""
        if worker in self._open:
            self._open[worker][listener] += 1

    def closed(self, worker: int, listener: int, *, had_been_asked: bool) -> None:
        """A connection of a worker's has closed."""
        if worker in self._open:
            self._open[worker][listener] -= 1
            self._leaving[worker][listener] -= had_been_asked

    def too_many(self, listener: int) -> int | None:
        """A worker that should let one connection go, which is then counted as leaving; None where all have about as many.

        Connections are long-lived: those that met the others while a worker was restarted would stay there for hours.
        """
        by_open = sorted(self._open, key=lambda worker: self._open[worker][listener])
        if not by_open:
            return None
        fewest, most = by_open[0], by_open[-1]
        # What leaves connects anew, to the one with the fewest.
        if self._leaving[most][listener] >= (self._open[most][listener] - self._open[fewest][listener]) // 2:
            return None
        self._leaving[most][listener] += 1
        return most

    def nobody_left(self, worker: int, listener: int) -> None:
        """The worker that was asked found no connection to let go."""
        if worker in self._leaving:
            self._leaving[worker][listener] -= 1
