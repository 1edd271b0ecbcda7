"""Ready-made COPY and the product in turns, so that a machine whose speed drifts treats both alike. The ratio is what counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from benchmarks.bare import BareCopy, Written
from benchmarks.report import Report, spread
from benchmarks.usage import Meter

Parties = Callable[[], Mapping[str, Collection[int]]]
DATABASE = "database"
_WARM_UP = 1


class Turns:
    """Rounds of both; the first is not counted.

    ``parties`` are process ids by what they are; those of ``DATABASE`` are watched in COPY's turns as well.
    """

    def __init__(self, bare: BareCopy, parties: Parties) -> None:
        self._bare = bare
        self._copying = Meter(lambda: {DATABASE: parties()[DATABASE]})
        self._working = Meter(parties)
        self.copied: list[Written] = []
        self.worked: list[Written] = []

    def run(self, rounds: int, prepare: Callable[[], Callable[[], Written]]) -> None:
        """Take turns. What ``prepare`` does is not timed, what it returns is."""
        for number in range(_WARM_UP + rounds):
            buffers = self._bare.buffers()
            self.copied.append(self._counted(self._copying, number, partial(self._bare.run, buffers)))
            work = prepare()
            self.worked.append(self._counted(self._working, number, work))

    @property
    def counted_rounds(self) -> slice:
        """Of a list with an entry a round, those that count."""
        return slice(_WARM_UP, None)

    @property
    def copied_rows(self) -> int:
        """In all rounds."""
        return sum(written.rows for written in self.copied)

    def tell(self, report: Report, what: str) -> None:
        """Add rates, ratio and CPU; ``what`` names the product's turn."""
        copied, worked = self.copied[self.counted_rounds], self.worked[self.counted_rounds]
        report.add("COPY of ready-made rows, one connection", spread([written.rate for written in copied], " rows/s"))
        report.add(what, spread([written.rate for written in worked], " items/s"))
        report.add("ratio, round by round", spread([own.rate / bare.rate for own, bare in zip(worked, copied, strict=True)], "", digits=2))
        report.add(f"CPU of the {DATABASE} while COPY runs", _per_item(self._copying.spent.values(), copied))
        for name, spent in self._working.spent.items():
            report.add(f"CPU of the {name}", _per_item([spent], worked))

    @property
    def spent(self) -> float:
        """CPU seconds an item, of all parties of the product's turns."""
        return sum(self._working.spent.values()) / sum(written.rows for written in self.worked[self.counted_rounds])

    @staticmethod
    def _counted(meter: Meter, number: int, work: Callable[[], Written]) -> Written:
        with meter.counted() if number >= _WARM_UP else contextlib.nullcontext():
            return work()


def _per_item(spent: Iterable[float], rounds: Sequence[Written]) -> str:
    return f"{sum(spent) / sum(written.rows for written in rounds) * 1e6:.1f} µs an item"
