"""What answers with percentiles look like, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tidegauge.api.meta import AnswerMeta
from tidegauge.api.schemas import Number, Time


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DurationPercentilesGroup(_Model):
    """A group of spans, by columns; a step without spans is left out."""

    service: str | None = Field(description="null where services are not told apart")
    operation: str | None = Field(description="null where operations are not told apart")
    kind: str | None = Field(description="null where kinds are not told apart")
    times: list[float] = Field(description="starts of steps, Unix seconds")
    counts: list[int] = Field(description="spans of each step")
    durations_ns: list[list[int | None]] = Field(description="for each of `quantiles` the percentile of each step")


class DurationPercentiles(_Model):
    """Percentiles of span durations."""

    quantiles: list[float]
    start: Time
    end: Time
    step_seconds: float | None = Field(description="null: one value for the whole range")
    timezone: str
    groups: list[DurationPercentilesGroup]
    meta: AnswerMeta


class QuantileValue(_Model):
    """A quantile and the bucket (lower, upper] that it was found in, within the smallest and largest observation where they are known."""

    value: Number = Field(description="by interpolation in the bucket")
    lower: Number = Field(description="null: the bucket has no lower bound")
    upper: Number = Field(description="null: the bucket has no upper bound")


class QuantilesPoint(_Model):
    """Quantiles of a step."""

    time: float = Field(description="start of the step, Unix seconds")
    count: int = Field(description="observations")
    values: list[QuantileValue] = Field(description="one for each of `quantiles`")
    is_exact: bool = Field(description="whether no observation is known to be missing")


class QuantilesSeries(_Model):
    """A group of series; a step without observations has no point."""

    labels: dict[str, str]
    series_count: int
    points: list[QuantilesPoint]


class Quantiles(_Model):
    """Quantiles of a histogram."""

    metric: str
    type: str
    unit: str
    quantiles: list[float]
    start: Time
    end: Time
    step_seconds: float | None = Field(description="null: one value for the whole range")
    timezone: str
    series: list[QuantilesSeries]
    meta: AnswerMeta
