"""Metrics: names, values by step, rollups."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, meta, metric_schemas, schemas
from tidegauge.api.context import Context, InContext
from tidegauge.api.formats import Json
from tidegauge.api.parameters import DURATIONS, Parameters, TimeParameters
from tidegauge.model.query import Aggregation, SeriesSelector, Tier
from tidegauge.model.records import Metric
from tidegauge.query import metrics
from tidegauge.query.matchers import MATCH_FORM, parse_matchers
from tidegauge.query.metrics import Limits, RangeQuestion, SeriesRollups
from tidegauge.query.paging import page_size
from tidegauge.query.rollups import RollupPoint
from tidegauge.query.times import parse_duration, parse_zone

router = APIRouter(prefix="/api/v1/metrics", tags=["metrics"])

MetricName = Annotated[
    str,
    Path(
        pattern=r"^[^\x00]+$", description="the metric's name; dots and slashes are part of it", examples=["http.server.request.duration"]
    ),
]


class MetricType(Enum):
    """Types of metrics."""

    GAUGE = "gauge"
    SUM = "sum"
    HISTOGRAM = "histogram"
    EXPONENTIAL_HISTOGRAM = "exponential_histogram"
    SUMMARY = "summary"


class ListParameters(Parameters):
    """Parameters of the list."""

    name: str | None = Field(None, description="the metric's name; * stands for any characters", examples=["http.*"])
    service: str | None = Field(None, description="service.name", examples=["cart"])
    limit: int | None = Field(None, description="most rows; 100 by default")


class SeriesParameters(TimeParameters):
    """Which series, and when."""

    service: str | None = Field(None, description="service.name", examples=["cart"])
    match: list[str] = Field(
        default_factory=list,
        description="condition on a label: of the points, of the resource (host.name), or service.name, service.namespace, "
        f"deployment.environment.name; an absent one is empty. May be repeated, then all must hold. {MATCH_FORM}",
        examples=[['http.route="/cart"']],
    )
    type: MetricType | None = Field(None, description="needed where one name is sent with several types")

    def selector(self, name: str) -> SeriesSelector:
        """The series."""
        return SeriesSelector(name, parse_matchers(self.match), self.service, None if self.type is None else self.type.value)


class RangeParameters(SeriesParameters):
    """Parameters of values by step."""

    step: str | None = Field(
        None,
        description=f"{DURATIONS}. Steps begin at its multiples since the Unix epoch; the range is widened to whole steps",
        examples=["1m"],
    )
    timezone: str | None = Field(
        None,
        description="IANA time zone whose midnights steps of whole days begin at; TIDEGAUGE_API_TIMEZONE by default",
        examples=["Europe/Berlin"],
    )
    aggregation: Aggregation = Field(
        Aggregation.AVG,
        description="over all points of a group's series in a step. `increase` and `rate` (per second): of sums what they rose by, resets "
        "included, of histograms and summaries the observations; histograms and summaries also have count, sum, avg of their "
        "observations, histograms min and max (of cumulative ones: since their start)",
    )
    group_by: list[str] | None = Field(
        None,
        description="label that makes groups; may be repeated. Without it every series is a group, with `group_by=` all together are one",
        examples=[["service.name"]],
    )


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": schemas.Metrics, "description": "Metrics that match."}, **answers.problems()},
)
async def list_metrics(context: InContext, query: Annotated[ListParameters, Query()]) -> Response:
    """List metrics by name, with type, unit, description and the names of their labels."""
    limit = page_size(query.limit, context.settings.max_page)
    found = await context.services.metrics.metrics(context.tenant_id, query.name, query.service, limit + 1)
    return answers.json({"metrics": [_metric(row) for row in found[:limit]], "truncated": len(found) > limit})


@router.get(
    "/{name:path}/range",
    response_class=Response,
    responses={200: {"model": metric_schemas.Range, "description": "Values by step."}, **answers.problems(404)},
)
async def get_metric_range(context: InContext, name: MetricName, query: Annotated[RangeParameters, Query()]) -> Response:
    """Read a metric's values by step, from the coarsest rollups that give the same values as its points; `meta` says how."""
    question = RangeQuestion(
        wanted=query.selector(name),
        time=query.time(context.services.now_ns()),
        step_ns=None if query.step is None else metrics.check_step(parse_duration(query.step, "step")),
        aggregation=query.aggregation,
        group_by=None if query.group_by is None else [label for label in query.group_by if label],
        zone=parse_zone(query.timezone or context.settings.timezone),
    )
    answer = await metrics.read_range(context.services.metrics, context.services.tiers, context.tenant_id, question, _limits(context))
    edges = answer.steps.edges
    document = {
        "metric": name,
        "type": answer.type,
        "unit": answer.unit,
        "aggregation": query.aggregation.value,
        "start": formats.time(edges[0]),
        "end": formats.time(edges[-1]),
        "step_seconds": metric_schemas.step_seconds(answer.steps),
        "timezone": question.zone.key,
        "series": metric_schemas.lines(answer.lines),
        "meta": meta.document(answer.meta),
    }
    return answers.json(document)


@router.get(
    "/{name:path}/rollups/{tier}",
    response_class=Response,
    responses={200: {"model": schemas.Rollups, "description": "Every series' buckets."}, **answers.problems(404)},
)
async def get_metric_rollups(
    context: InContext,
    name: MetricName,
    tier: Annotated[Tier, Path(description="UTC hours or days")],
    query: Annotated[SeriesParameters, Query()],
) -> Response:
    """Read a metric's hourly or daily rollups, from the continuous aggregates; the current bucket holds what has arrived."""
    answer = await metrics.read_rollups(
        context.services.metrics,
        context.tenant_id,
        query.selector(name),
        query.time(context.services.now_ns()),
        tier,
        _limits(context),
    )
    document = {
        "metric": name,
        "tier": tier.value,
        "start": formats.time(answer.time.start_ns),
        "end": formats.time(answer.time.end_ns),
        "series": [_rollup_series(one) for one in answer.series],
    }
    return answers.json(document)


def _limits(context: Context) -> Limits:
    return Limits(series=context.settings.max_series, points=context.settings.max_points)


def _metric(row: Metric) -> Json:
    return {
        "name": row.name,
        "type": row.type,
        "unit": row.unit,
        "temporality": row.temporality,
        "is_monotonic": row.is_monotonic,
        "description": row.description,
        "label_names": row.label_names,
        "series_count": row.series_count,
        "services": row.services,
    }


def _rollup_series(one: SeriesRollups) -> Json:
    return {
        "labels": dict(one.series.labels),
        "type": one.series.type,
        "unit": one.series.unit,
        "temporality": one.series.temporality,
        "is_monotonic": one.series.is_monotonic,
        "bounds": one.series.bounds,
        "rollups": [_rollup(point) for point in one.points],
    }


def _rollup(point: RollupPoint) -> Json:
    average = None if point.sum is None or not point.count else point.sum / point.count
    return {
        "bucket": formats.time(point.bucket_unix_nano),
        "count": point.count,
        "sum": formats.number(point.sum),
        "avg": formats.number(average),
        "min": formats.number(point.min),
        "max": formats.number(point.max),
        "first": formats.number(point.first),
        "last": formats.number(point.last),
        "increase": formats.number(point.increase),
        "bucket_counts": point.bucket_counts,
        "is_exact": point.is_exact,
    }
