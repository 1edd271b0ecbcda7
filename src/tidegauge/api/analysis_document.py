"""Trace analysis as JSON, as ``analysis_schemas.py`` describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import TypeVar

from tidegauge.api import formats
from tidegauge.api.analysis_schemas import CALLS
from tidegauge.api.formats import Json
from tidegauge.model.analysis import Calls, Example, ExampleSpan, Red
from tidegauge.model.tiers import Steps
from tidegauge.query.analysis import trees
from tidegauge.query.analysis.periods import Change
from tidegauge.query.analysis.use_cases import Analysis
from tidegauge.query.quantiles import duration_quantiles

_ERROR = 2
_SHARES = (0.5, 0.9, 0.99)
T = TypeVar("T")


def trace(analysis: Analysis) -> Json:
    """The answer of ``GET /api/v1/traces/{trace_id}/analysis``."""
    spans = analysis.trace.spans
    start = min(span.start_ns for span in spans)
    on_path = analysis.path_times()
    return {
        **_head(analysis),
        "start_time": formats.time(start),
        "root_span_id": None if analysis.root is None else analysis.root.span.span_id,
        "critical_path": [
            {
                "span_id": part.span.span_id,
                "service": part.span.service,
                "name": part.span.name,
                "start_time": formats.time(part.start_ns),
                "offset_ns": part.start_ns - start,
                "duration_ns": part.end_ns - part.start_ns,
            }
            for part in analysis.path
        ],
        "operations": _operations(analysis, on_path),
        "spans": [
            {
                "span_id": span.span_id,
                "parent_span_id": span.parent_span_id or None,
                "service": span.service,
                "name": span.name,
                "kind": formats.span_kind(span.kind),
                "status": formats.status_code(span.status_code),
                "start_time": formats.time(span.start_ns),
                "offset_ns": span.start_ns - start,
                "duration_ns": span.duration_ns,
                "self_time_ns": analysis.self_times[span.span_id],
                "critical_path_ns": on_path.get(span.span_id, 0),
            }
            for span in spans
        ],
    }


def _head(analysis: Analysis) -> Json:
    spans = analysis.trace.spans
    return {
        "trace_id": analysis.trace_id,
        "duration_ns": max(span.end_ns for span in spans) - min(span.start_ns for span in spans),
        "span_count": analysis.trace.span_count,
        "truncated": analysis.trace.truncated,
        "kept": analysis.trace.kept,
    }


def _operations(analysis: Analysis, on_path: dict[str, int]) -> list[Json]:
    sums: dict[tuple[str, str], list[int]] = {}
    for span in analysis.trace.spans:
        one = sums.setdefault((span.service, span.name), [0] * 5)
        values = (1, span.status_code == _ERROR, span.duration_ns, analysis.self_times[span.span_id], on_path.get(span.span_id, 0))
        for place, value in enumerate(values):
            one[place] += value
    names = ("count", "errors", "duration_ns", "self_time_ns", "critical_path_ns")
    ordered = sorted(sums.items(), key=lambda one: (-one[1][4], -one[1][3], one[0]))
    return [{"service": service, "name": name, **dict(zip(names, values, strict=True))} for (service, name), values in ordered]


def traces(a: Analysis, b: Analysis, places: Sequence[trees.Place]) -> Json:
    """The answer of ``GET /api/v1/traces/compare``."""
    return {
        "a": _head(a),
        "b": _head(b),
        "places": [
            {
                "service": place.service,
                "name": place.name,
                "depth": place.depth,
                "parent": place.parent,
                "a": _side(place.a),
                "b": _side(place.b),
                "duration_difference_ns": place.b.duration_ns - place.a.duration_ns,
                "self_time_difference_ns": place.b.self_time_ns - place.a.self_time_ns,
            }
            for place in places
        ],
    }


def _side(side: trees.Side) -> Json | None:
    if not side.count:
        return None
    return {"count": side.count, "errors": side.errors, "duration_ns": side.duration_ns, "self_time_ns": side.self_time_ns}


def edges(steps: Steps, found: Sequence[tuple[int, Calls]]) -> list[Json]:
    """Steps of ``GET /api/v1/service-map``."""
    return _by_step(steps, found, lambda one: one[0], "edges", lambda one, seconds: _edge(one[1], seconds))


def _edge(calls: Calls, seconds: float) -> Json:
    return {
        "client": calls.client,
        "server": calls.server or None,
        "peer": calls.peer or None,
        "call": CALLS[calls.call - 1],
        "count": calls.count,
        "rate": calls.count / seconds,
        "errors": calls.errors,
        "error_rate": calls.errors / calls.count,
        "duration_avg_ns": calls.duration_sum_ns // calls.count,
        "duration_max_ns": calls.duration_max_ns,
        "client_duration_avg_ns": calls.client_duration_sum_ns // calls.count,
        **_percentiles(calls.durations, 0, calls.duration_max_ns),
    }


def services(steps: Steps, found: Sequence[Red]) -> list[Json]:
    """Steps of ``GET /api/v1/services/red``."""
    return _by_step(steps, found, lambda one: one.start_ns, "services", lambda one, seconds: _named(one) | rates(one, seconds))


def rates(red: Red, seconds: float) -> Json:
    """Rate, errors and duration."""
    return {
        "count": red.count,
        "rate": red.count / seconds,
        "errors": red.errors,
        "error_rate": red.errors / red.count,
        "duration_avg_ns": red.duration_sum_ns // red.count,
        "duration_min_ns": red.duration_min_ns,
        "duration_max_ns": red.duration_max_ns,
        **_percentiles(red.durations, red.duration_min_ns, red.duration_max_ns),
    }


def _named(red: Red) -> Json:
    return {"service": red.service, "operation": red.operation}


def change(one: Change, before_seconds: float, after_seconds: float) -> Json:
    """A row of ``GET /api/v1/services/compare``."""
    before, after = one.before, one.after
    known = before is not None and after is not None
    ratios: Json = {"rate_ratio": None, "duration_ratio": None, "error_rate_difference": None}
    if before is not None and after is not None:
        mean = before.duration_sum_ns / before.count
        ratios = {
            "rate_ratio": (after.count / after_seconds) / (before.count / before_seconds),
            "duration_ratio": after.duration_sum_ns / after.count / mean if known and mean else None,
            "error_rate_difference": after.errors / after.count - before.errors / before.count,
        }
    return {
        "service": one.service,
        "operation": one.operation,
        "before": None if before is None else rates(before, before_seconds),
        "after": None if after is None else rates(after, after_seconds),
        "impacts": {impact.value: value for impact, value in one.impacts.items()},
        **ratios,
    }


def examples(steps: Steps, found: Sequence[Example]) -> list[Json]:
    """Steps of ``GET /api/v1/traces/examples``."""
    return _by_step(steps, found, lambda one: one.start_ns, "examples", lambda one, _: _example(one))


def _example(one: Example) -> Json:
    return {
        "service": one.service,
        "operation": one.operation,
        "slowest": _example_span(one.slowest),
        "error": None if one.error is None else _example_span(one.error),
    }


def _example_span(span: ExampleSpan) -> Json:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "start_time": formats.time(span.start_ns),
        "duration_ns": span.duration_ns,
        "status": formats.status_code(span.status_code),
        "status_message": span.status_message,
    }


def _percentiles(durations: Sequence[tuple[int, int]], least: int, greatest: int) -> Json:
    buckets, counts = [bucket for bucket, _ in durations], [count for _, count in durations]
    found = duration_quantiles(buckets, counts, _SHARES, least, greatest)
    # Late spans may be in one of two rollups a moment before the other: then the longest duration is what is known.
    return {f"p{share * 100:.0f}_ns": greatest if value is None else value for share, value in zip(_SHARES, found, strict=True)}


def _by_step(steps: Steps, found: Iterable[T], start_of: Callable[[T], int], name: str, row: Callable[[T, float], Json]) -> list[Json]:
    ends = dict(pairwise(steps.edges))
    return [
        {"start": formats.time(start), "end": formats.time(ends[start]), name: [row(one, (ends[start] - start) / 1e9) for one in rows]}
        for start, rows in groupby(found, start_of)
    ]
