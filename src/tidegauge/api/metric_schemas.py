"""What metrics' and spans' values by step look like."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from pydantic import BaseModel, Field

from tidegauge.api import formats
from tidegauge.api.meta import AnswerMeta
from tidegauge.model.tiers import Steps
from tidegauge.query.metrics import Line

_DAY_SECONDS = 86_400
_SECOND_NS = 1_000_000_000

Point = tuple[float, float | str]


class RangeLine(BaseModel):
    """The values of a group of series."""

    labels: dict[str, str]
    series_count: int
    points: list[Point] = Field(description="start of the step in Unix seconds, and its value; NaN and infinities as strings")
    below: float | str = Field(description="the true values may be greater by at most this; 0 for exact ones")


class Range(BaseModel):
    """Values by step. A step without data has no point."""

    metric: str
    type: str
    unit: str
    aggregation: str
    start: str
    end: str
    step_seconds: float = Field(description="of steps of local days: of the first one's days in hours of 24")
    timezone: str
    series: list[RangeLine]
    meta: AnswerMeta


def lines(found: Sequence[Line]) -> list[formats.Json]:
    """As :class:`RangeLine` describes them."""
    # Most have the very same steps.
    starts = {id(one.times): seconds(one.times) for one in {id(one.times): one for one in found}.values()}
    return [_line(one, starts[id(one.times)]) for one in found]


def _line(found: Line, starts: Sequence[float]) -> formats.Json:
    # One by one only where there is something that JSON does not have: NaN and infinities stay what they are in a sum.
    values = found.values if isfinite(sum(found.values)) else [formats.number(value) for value in found.values]
    return {
        "labels": dict(found.labels),
        "series_count": found.series_count,
        "points": list(zip(starts, values, strict=True)),
        "below": formats.number(found.below),
    }


def seconds(times: Sequence[int]) -> Sequence[float]:
    """Unix seconds; integers, which are written faster, where all of them are whole."""
    if any(time % _SECOND_NS for time in times):
        return [time / _SECOND_NS for time in times]
    return [time // _SECOND_NS for time in times]


def step_seconds(steps: Steps) -> float:
    """A step's length; of local days the whole days it is made of."""
    edges = steps.edges
    length = (edges[1] - edges[0]) / 1e9
    return length if isinstance(edges, range) else round(length / _DAY_SECONDS) * float(_DAY_SECONDS)
