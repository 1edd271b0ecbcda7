"""Percentiles of span durations, quantiles of histograms."""

from __future__ import annotations

from enum import Enum
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, meta, percentile_schemas
from tidegauge.api.context import Context, InContext
from tidegauge.api.formats import Json
from tidegauge.api.parameters import DURATIONS, TimeParameters
from tidegauge.api.routers.metrics import MetricName, SeriesParameters
from tidegauge.model.tiers import Steps
from tidegauge.query import percentiles, traces
from tidegauge.query.metrics import check_step
from tidegauge.query.percentiles import DurationLine, Limits, QuantileLine
from tidegauge.query.quantiles import Quantile
from tidegauge.query.times import one_step, parse_duration, parse_zone, steps_of
from tidegauge.storage.percentile_interface import DurationFilter

router = APIRouter(prefix="/api/v1")

_Q = Field(
    [0.5, 0.9, 0.99],
    description=f"quantile from 0 to 1; may be repeated, {percentiles.MOST_QUANTILES} times at the most",
    examples=[[0.5, 0.99]],
)
_STEP = Field(
    None,
    description=f"{DURATIONS}. Steps begin at its multiples since the Unix epoch, the range is widened to whole steps. Without it there is "
    "one value for the whole range",
    examples=["1m"],
)
_ZONE = Field(None, description="IANA time zone in which steps of whole days begin", examples=["Europe/Berlin"])


class SpanGroup(Enum):
    """What spans may be grouped by."""

    SERVICE = "service"
    OPERATION = "operation"
    KIND = "kind"


class DurationParameters(TimeParameters):
    """Parameters of percentiles of span durations."""

    q: list[float] = _Q
    service: str | None = Field(None, description="service.name", examples=["cart"])
    operation: str | None = Field(None, description="the span's name, exactly", examples=["GET /cart"])
    kind: str | None = Field(None, description="internal, server, client, producer or consumer", examples=["server"])
    status: str | None = Field(None, description="unset, ok or error; read from spans alone, as far as they are kept", examples=["error"])
    group_by: list[SpanGroup] = Field(
        default_factory=list, description="what makes groups; may be repeated. Without it all spans are one", examples=[["service"]]
    )
    step: str | None = _STEP
    timezone: str | None = _ZONE

    def wanted(self) -> DurationFilter:
        """Which spans."""
        return DurationFilter(
            service=self.service,
            operation=self.operation,
            kind=None if self.kind is None else traces.parse_kind(self.kind),
            status_code=None if self.status is None else traces.parse_status(self.status),
            by_service=SpanGroup.SERVICE in self.group_by,
            by_operation=SpanGroup.OPERATION in self.group_by,
            by_kind=SpanGroup.KIND in self.group_by,
        )


class QuantileParameters(SeriesParameters):
    """Parameters of quantiles of a histogram."""

    q: list[float] = _Q
    group_by: list[str] | None = Field(
        None,
        description="label that makes groups, whose histograms are added up; may be repeated. Without it every series is a group, with "
        "`group_by=` all together are one",
        examples=[["service.name"]],
    )
    step: str | None = _STEP
    timezone: str | None = _ZONE


@router.get(
    "/traces/percentiles",
    tags=["traces"],
    response_class=Response,
    responses={200: {"model": percentile_schemas.DurationPercentiles, "description": "Percentiles by step."}, **answers.problems()},
)
async def get_duration_percentiles(context: InContext, query: Annotated[DurationParameters, Query()]) -> Response:
    """Percentiles of span durations, by step and group: within 5 % (and a nanosecond) of the exact ones."""
    steps, zone = _steps(context, query, query.step, query.timezone)
    quantiles = percentiles.check_quantiles(query.q)
    services = context.services
    answer = await percentiles.read_durations(
        services.percentiles, services.tiers, context.tenant_id, query.wanted(), steps, quantiles, _limits(context)
    )
    document = {
        "quantiles": quantiles,
        "start": formats.time(answer.time.start_ns),
        "end": formats.time(answer.time.end_ns),
        "step_seconds": _seconds(query.step),
        "timezone": zone.key,
        "groups": [_group(line) for line in answer.lines],
        "meta": meta.document(answer.meta),
    }
    return answers.json(document)


@router.get(
    "/metrics/{name:path}/quantiles",
    tags=["metrics"],
    response_class=Response,
    responses={200: {"model": percentile_schemas.Quantiles, "description": "Quantiles by step."}, **answers.problems(404)},
)
async def get_metric_quantiles(context: InContext, name: MetricName, query: Annotated[QuantileParameters, Query()]) -> Response:
    """Quantiles of what a histogram observed, explicit or exponential, by step and group; beside each the bucket it lies in."""
    steps, zone = _steps(context, query, query.step, query.timezone)
    quantiles = percentiles.check_quantiles(query.q)
    group_by = None if query.group_by is None else [label for label in query.group_by if label]
    services = context.services
    answer = await percentiles.read_quantiles(
        services.metrics,
        services.percentiles,
        services.tiers,
        context.tenant_id,
        query.selector(name),
        steps,
        quantiles,
        group_by,
        _limits(context),
    )
    document = {
        "metric": name,
        "type": answer.type,
        "unit": answer.unit,
        "quantiles": quantiles,
        "start": formats.time(answer.time.start_ns),
        "end": formats.time(answer.time.end_ns),
        "step_seconds": _seconds(query.step),
        "timezone": zone.key,
        "series": [_series(line) for line in answer.lines],
        "meta": meta.document(answer.meta),
    }
    return answers.json(document)


def _steps(context: Context, query: TimeParameters, step: str | None, timezone: str | None) -> tuple[Steps, ZoneInfo]:
    time, zone = query.time(context.services.now_ns()), parse_zone(timezone or context.settings.timezone)
    return one_step(time) if step is None else steps_of(time, check_step(parse_duration(step, "step")), zone), zone


def _seconds(step: str | None) -> float | None:
    return None if step is None else parse_duration(step, "step") / 1e9


def _limits(context: Context) -> Limits:
    return Limits(series=context.settings.max_series, points=context.settings.max_points)


def _group(line: DurationLine) -> Json:
    service, operation, kind = line.key
    return {
        "service": service,
        "operation": operation,
        "kind": None if kind is None else formats.span_kind(kind),
        "times": [time / 1e9 for time in line.times_unix_nano],
        "counts": line.counts,
        "durations_ns": line.durations_ns,
    }


def _series(line: QuantileLine) -> Json:
    return {
        "labels": dict(line.labels),
        "series_count": line.series_count,
        "points": [
            {
                "time": one.time_unix_nano / 1e9,
                "count": one.count,
                "values": [_quantile(value) for value in one.values],
                "is_exact": one.is_exact,
            }
            for one in line.points
        ],
    }


def _quantile(found: Quantile) -> Json:
    return {"value": formats.number(found.value), "lower": formats.number(found.lower), "upper": formats.number(found.upper)}
