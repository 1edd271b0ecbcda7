"""Spans by step: rates, errors and durations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from tidegauge.api import answers, formats, meta, metric_schemas
from tidegauge.api.context import InContext
from tidegauge.api.meta import AnswerMeta
from tidegauge.api.parameters import DURATIONS, TimeParameters
from tidegauge.model.span_rates import RateColumn, RateFilter, RateKey
from tidegauge.query import traces
from tidegauge.query.metrics import Limits, check_step
from tidegauge.query.span_rates import RateQuestion, read_rates
from tidegauge.query.times import parse_duration, parse_zone

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])


class RateParameters(TimeParameters):
    """Parameters of rates."""

    service: str | None = Field(None, description="service.name", examples=["cart"])
    operation: str | None = Field(
        None, description="the span's name; names beyond the limit of a service's are counted as `_other`", examples=["GET /cart"]
    )
    kind: str | None = Field(None, description="internal, server, client, producer or consumer", examples=["server"])
    status: str | None = Field(None, description="unset, ok or error", examples=["error"])
    group_by: list[RateKey] = Field(
        default_factory=lambda: [RateKey.SERVICE], description="what makes groups; may be repeated", examples=[["service", "operation"]]
    )
    step: str | None = Field(
        None, description=f"{DURATIONS}. Steps begin at its multiples since the Unix epoch; the range is widened to whole steps"
    )
    timezone: str | None = Field(
        None, description="IANA time zone whose midnights steps of whole days begin at; TIDEGAUGE_API_TIMEZONE by default"
    )

    def filter(self) -> RateFilter:
        """The spans."""
        return RateFilter(
            self.service,
            self.operation,
            None if self.kind is None else traces.parse_kind(self.kind),
            None if self.status is None else traces.parse_status(self.status),
        )


class RateSeries(BaseModel):
    """A group's steps, those without spans left out; all arrays are as long as ``times``."""

    group: dict[str, str]
    times: list[float] = Field(description="where steps start, in Unix seconds")
    count: list[int]
    rate: list[float] = Field(description="spans a second")
    errors: list[int]
    error_rate: list[float] = Field(description="part of the spans that failed, 0 to 1")
    avg_duration_ns: list[float]
    min_duration_ns: list[int]
    max_duration_ns: list[int]


class Rates(BaseModel):
    """Spans by step."""

    start: str
    end: str
    step_seconds: float
    timezone: str
    series: list[RateSeries]
    meta: AnswerMeta


@router.get(
    "/rates",
    response_class=Response,
    responses={200: {"model": Rates, "description": "Spans by step."}, **answers.problems()},
)
async def get_span_rates(context: InContext, query: Annotated[RateParameters, Query()]) -> Response:
    """Read how many spans there were by step, how many failed and how long they took; `meta` says what they were counted from."""
    question = RateQuestion(
        query.filter(),
        query.time(context.services.now_ns()),
        None if query.step is None else check_step(parse_duration(query.step, "step")),
        query.group_by,
        parse_zone(query.timezone or context.settings.timezone),
    )
    limits = Limits(series=context.settings.max_series, points=context.settings.max_points)
    answer = await read_rates(context.services.span_rates, context.services.tiers, context.tenant_id, question, limits)
    edges = answer.steps.edges
    lengths = dict(zip(edges, answer.steps.seconds(), strict=False))
    document = {
        "start": formats.time(edges[0]),
        "end": formats.time(edges[-1]),
        "step_seconds": metric_schemas.step_seconds(answer.steps),
        "timezone": question.zone.key,
        "series": [_series(one, question.group_by, lengths) for one in answer.columns],
        "meta": meta.document(answer.meta),
    }
    return answers.json(document)


_NAMES: dict[RateKey, Callable[[RateColumn], str]] = {
    RateKey.SERVICE: lambda one: one.service,
    RateKey.OPERATION: lambda one: one.operation,
    RateKey.KIND: lambda one: formats.span_kind(one.kind),
    RateKey.STATUS: lambda one: formats.status_code(one.status_code),
}


def _series(one: RateColumn, group_by: Sequence[RateKey], lengths: dict[int, float]) -> formats.Json:
    return {
        "group": {key.value: _NAMES[key](one) for key in group_by},
        "times": metric_schemas.seconds(one.times),
        "count": one.counts,
        "rate": [count / lengths[time] for time, count in zip(one.times, one.counts, strict=True)],
        "errors": one.errors,
        "error_rate": [errors / count for errors, count in zip(one.errors, one.counts, strict=True)],
        "avg_duration_ns": [total / count for total, count in zip(one.duration_sums_ns, one.counts, strict=True)],
        "min_duration_ns": one.duration_mins_ns,
        "max_duration_ns": one.duration_maxs_ns,
    }
