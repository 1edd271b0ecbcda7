"""Which times are accepted: nothing older than retention less one chunk, nothing further ahead than the tolerance.

An item out of range would be dropped at once or hide what comes before it, and would make a chunk of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegauge.model.batch import Batch, LogBatch, MetricBatch, Rejection, SpanBatch

_MAX_DURATION_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far back and ahead the items of a signal may lie."""

    past: timedelta
    future: timedelta

    def window(self, now_ns: int) -> tuple[int, int]:
        """(earliest, latest) accepted, in nanoseconds."""
        return now_ns - _nanoseconds(self.past), now_ns + _nanoseconds(self.future)


def enforce(batch: Batch, limits: TimeLimits, now_ns: int) -> None:
    """Take items out of range out of the batch and add a rejection for each reason."""
    window = limits.window(now_ns)
    match batch:
        case SpanBatch():
            _enforce(batch, batch.start_time_unix_nano, window, batch.rejections, "span")
            _bounded_durations(batch)
        case LogBatch():
            times = [time or observed or now_ns for time, observed in zip(batch.time_unix_nano, batch.observed_time_unix_nano, strict=True)]
            _enforce(batch, times, window, batch.rejections, "record")
        case MetricBatch():
            for columns in (batch.numbers, batch.histograms, batch.summaries):
                _enforce(columns, columns.time_unix_nano, window, batch.rejections, "point")
            _enforce(batch.exemplars, batch.exemplars.time_unix_nano, window, batch.rejections, "exemplar")


def take(columns: Any, keep: Sequence[int], skip: frozenset[str] = frozenset()) -> None:
    """Keep only these rows of an object of column lists, in place; lists named in ``skip`` are no columns."""
    for column in fields(columns):
        if column.name not in skip:
            values = getattr(columns, column.name)
            values[:] = [values[row] for row in keep]


_DICTIONARIES = frozenset({"resources", "scopes", "rejections"})


def _enforce(columns: Any, times: Sequence[int], window: tuple[int, int], rejections: list[Rejection], what: str) -> None:
    earliest, latest = window
    # Nearly always nothing is out of range: two passes in C tell.
    if not times or (min(times) >= earliest and max(times) <= latest):
        return
    prefix = "exemplar_" if what == "exemplar" else ""
    _reject(
        columns, rejections, [time < earliest for time in times], prefix + "too_old", f"{what} before {_text(earliest)}, kept no longer"
    )
    times = [time for time in times if time >= earliest]
    _reject(
        columns, rejections, [time > latest for time in times], prefix + "too_far_ahead", f"{what} after {_text(latest)}; is a clock wrong?"
    )


def _bounded_durations(batch: SpanBatch) -> None:
    pairs = zip(batch.start_time_unix_nano, batch.end_time_unix_nano, strict=True)
    beyond = [abs(end - start) > _MAX_DURATION_NS for start, end in pairs]
    if any(beyond):
        _reject(batch, batch.rejections, beyond, "end_time_out_of_range", "span longer than 292 years")


def _reject(columns: Any, rejections: list[Rejection], out: Sequence[bool], reason: str, message: str) -> None:
    count = sum(out)
    if count:
        rejections.append(Rejection(reason, message, count, _sample(columns, out.index(True))))
        take(columns, [row for row, is_out in enumerate(out) if not is_out], _DICTIONARIES)


def _sample(columns: Any, row: int) -> bytes:
    """The first refused row as JSON, at most 4 KiB of it."""
    found = {column.name: getattr(columns, column.name)[row] for column in fields(columns) if column.name not in _DICTIONARIES}
    show: Callable[[object], str] = lambda value: value.hex() if isinstance(value, bytes) else str(value)  # noqa: E731
    return json.dumps(found, default=show).encode()[:4096]


def _nanoseconds(value: timedelta) -> int:
    return (value.days * 86_400 + value.seconds) * 1_000_000_000 + value.microseconds * 1000


def _text(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
