"""Which times are accepted: nothing older than retention less one chunk, nothing further ahead than the tolerance.

An item out of range would be dropped at once or hide what comes before it, and would make a chunk of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegauge.model.batch import Batch, LogBatch, MetricBatch, Rejection, SpanBatch
from tidegauge.model.samples import JSON_TYPE, resource_of, sample

_MAX_DURATION_NS = 2**63 - 1
_MOST_SERVICES = 100


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far back and ahead the items of a signal may lie."""

    past: timedelta
    future: timedelta

    def window(self, now_ns: int) -> tuple[int, int]:
        """(earliest, latest) accepted, in nanoseconds."""
        return now_ns - _nanoseconds(self.past), now_ns + _nanoseconds(self.future)


def enforce(batch: Batch, limits: TimeLimits, now_ns: int) -> None:
    """Take items out of range out of the batch and add a rejection for each reason and service."""
    window = limits.window(now_ns)
    match batch:
        case SpanBatch():
            _enforce(batch, "", batch.start_time_unix_nano, window, "span")
            _bounded_durations(batch, window)
        case LogBatch():
            times = [time or observed or now_ns for time, observed in zip(batch.time_unix_nano, batch.observed_time_unix_nano, strict=True)]
            _enforce(batch, "", times, window, "record")
        case MetricBatch():
            for name in ("numbers", "histograms", "summaries"):
                _enforce(batch, name, getattr(batch, name).time_unix_nano, window, "point")
            _enforce(batch, "exemplars", batch.exemplars.time_unix_nano, window, "exemplar")


def take(columns: Any, keep: Sequence[int], skip: frozenset[str] = frozenset()) -> None:
    """Keep only these rows of an object of column lists, in place; lists named in ``skip`` are no columns."""
    for column in fields(columns):
        if column.name not in skip:
            values = getattr(columns, column.name)
            values[:] = [values[row] for row in keep]


_DICTIONARIES = frozenset({"resources", "scopes", "rejections"})


def _enforce(batch: Batch, name: str, times: Sequence[int], window: tuple[int, int], what: str) -> None:
    earliest, latest = window
    # Nearly always nothing is out of range: two passes in C tell.
    if not times or (min(times) >= earliest and max(times) <= latest):
        return
    prefix = "exemplar_" if what == "exemplar" else ""
    _reject(batch, name, [time < earliest for time in times], prefix + "too_old", f"{what} before {_text(earliest)}, kept no longer")
    times = [time for time in times if time >= earliest]
    _reject(batch, name, [time > latest for time in times], prefix + "too_far_ahead", f"{what} after {_text(latest)}; is a clock wrong?")


def _bounded_durations(batch: SpanBatch, window: tuple[int, int]) -> None:
    """Take spans that are too long for a column out of a batch whose starts lie within ``window``."""
    starts, ends = batch.start_time_unix_nano, batch.end_time_unix_nano
    # No end is so far from any start that may be, nearly always.
    if not ends or (max(ends) - window[0] <= _MAX_DURATION_NS and window[1] - min(ends) <= _MAX_DURATION_NS):
        return
    beyond = [abs(end - start) > _MAX_DURATION_NS for start, end in zip(starts, ends, strict=True)]
    if any(beyond):
        _reject(batch, "", beyond, "end_time_out_of_range", "span longer than 292 years")


def _reject(batch: Batch, name: str, out: Sequence[bool], reason: str, message: str) -> None:
    """Take the rows of ``name`` (of :mod:`tidegauge.model.selecting`) that are ``out`` away; the first of a service is its sample."""
    first: dict[str, int] = {}
    items: Counter[str] = Counter()
    for row, is_out in enumerate(out):
        if is_out:
            service = resource_of(batch, (name, row)).service_name
            service = service if service in first or len(first) < _MOST_SERVICES else ""
            first.setdefault(service, row)
            items[service] += 1
    batch.rejections += [
        Rejection(reason, message, items[service], sample(batch, (name, row)), JSON_TYPE, service) for service, row in first.items()
    ]
    if first:
        take(getattr(batch, name) if name else batch, [row for row, is_out in enumerate(out) if not is_out], _DICTIONARIES)


def _nanoseconds(value: timedelta) -> int:
    return (value.days * 86_400 + value.seconds) * 1_000_000_000 + value.microseconds * 1000


def _text(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
