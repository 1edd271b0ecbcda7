"""Trace analysis: where a trace's time went, who calls whom, how services behave and what changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import analysis_document, answers, meta
from tidegauge.api import analysis_schemas as schemas
from tidegauge.api.context import Context, InContext
from tidegauge.api.parameters import DURATIONS, TIMES, Parameters, TimeParameters
from tidegauge.query import traces
from tidegauge.query.analysis import use_cases
from tidegauge.query.analysis.periods import Impact
from tidegauge.query.analysis.use_cases import Read
from tidegauge.query.paging import page_size
from tidegauge.query.times import parse_duration, parse_range
from tidegauge.storage.analysis_interface import Wanted

router = APIRouter(prefix="/api/v1")

_STEP = f"{DURATIONS}, 1m or more. Steps begin at its multiples since the Unix epoch; without it all of the range is one"
_SERVICE = "service.name"
_KINDS = "kinds of spans, with commas; `any` for all. The spans that take requests by default"


class StepParameters(TimeParameters):
    """A range and its steps."""

    step: str | None = Field(None, description=_STEP, examples=["5m"])
    service: str | None = Field(None, description=_SERVICE, examples=["cart"])

    def read(self, context: Context) -> Read:
        """What is read."""
        step = None if self.step is None else parse_duration(self.step, "step")
        return Read(self.time(context.services.now_ns()), step, context.settings.max_points)


class RatesParameters(StepParameters):
    """Parameters of rates."""

    operation: str | None = Field(None, description="the span's name", examples=["GET /cart"])
    by: str = Field("service", description="`service` or `operation`: what rows are of", pattern="^(service|operation)$")
    kind: str = Field("server,consumer", description=_KINDS, examples=["server"])

    def wanted(self) -> Wanted:
        """Which spans."""
        by_operation = self.by == "operation" or self.operation is not None
        return Wanted(self.service, self.operation, _kinds(self.kind), by_operation)


class PeriodParameters(Parameters):
    """Parameters of two periods."""

    before_start: str = Field(description=f"first moment of the earlier period: {TIMES}", examples=["now-25h"])
    before_end: str = Field(description="first moment behind it", examples=["now-24h"])
    after_start: str = Field("now-1h", description="first moment of the later period")
    after_end: str = Field("now", description="first moment behind it")
    service: str | None = Field(None, description=_SERVICE, examples=["cart"])
    operation: str | None = Field(None, description="the span's name", examples=["GET /cart"])
    by: str = Field("operation", description="`service` or `operation`: what rows are of", pattern="^(service|operation)$")
    kind: str = Field("server,consumer", description=_KINDS, examples=["server"])
    sort: Impact = Field(Impact.TIME, description="which impact rows are ordered by, the greatest first, whichever way it went")
    limit: int | None = Field(None, description="most rows; 100 by default")


class ExampleParameters(StepParameters):
    """Parameters of examples."""

    operation: str | None = Field(None, description="the span's name", examples=["GET /cart"])
    limit: int | None = Field(None, description="most rows; 100 by default")


class CompareParameters(Parameters):
    """Two traces."""

    a: str = Field(description="32 hexadecimal digits", examples=["5b8efff798038103d269b633813fc60c"])
    b: str = Field(description="32 hexadecimal digits", examples=["6e0c63257de34c926f9efcd03927272e"])


@router.get(
    "/traces/examples",
    tags=["traces"],
    response_class=Response,
    responses={200: {"model": schemas.TraceExamples, "description": "Examples by step, slowest first."}, **answers.problems()},
)
async def get_trace_examples(context: InContext, query: Annotated[ExampleParameters, Query()]) -> Response:
    """Find, of each operation and step, the slowest span and the newest that failed.

    Examples are kept as long as rollups are. The traces of a day's examples are kept whole, as long as hourly rollups are; other traces
    are there until their retention.
    """
    limit = page_size(query.limit, context.settings.max_page)
    read = query.read(context)
    wanted = Wanted(query.service, query.operation)
    services = context.services
    steps, found, found_meta, truncated = await use_cases.examples(
        services.analysis, services.tiers, context.tenant_id, Read(read.time, read.step_ns, limit), wanted
    )
    return answers.json({"steps": analysis_document.examples(steps, found), "truncated": truncated, "meta": meta.document(found_meta)})


@router.get(
    "/traces/compare",
    tags=["traces"],
    response_class=Response,
    responses={200: {"model": schemas.TraceComparison, "description": "The two traces by path."}, **answers.problems(404)},
)
async def compare_traces(context: InContext, query: Annotated[CompareParameters, Query()]) -> Response:
    """Compare two traces: spans are matched by the path of (service, operation) from the root down.

    Spans with the same path are added up; a path that one trace alone has says so.
    """
    limit = context.settings.max_trace_spans
    a, b, places = await use_cases.compare_traces(context.services.analysis, context.tenant_id, (query.a, query.b), limit)
    return answers.json(analysis_document.traces(a, b, places))


@router.get(
    "/traces/{trace_id}/analysis",
    tags=["traces"],
    response_class=Response,
    responses={200: {"model": schemas.TraceAnalysis, "description": "Self times and the critical path."}, **answers.problems(404)},
)
async def analyse_trace(
    context: InContext,
    trace_id: Annotated[str, Path(description="32 hexadecimal digits", examples=["5b8efff798038103d269b633813fc60c"])],
    query: Annotated[Parameters, Query()],
) -> Response:
    """Tell where a trace's time went: self time of each span, and the critical path from the root.

    The critical path goes back from the root's end: the child that finished last is on it, then the child that finished last before that
    one began, and so on within each of them. Times are clipped to the parent's, so that work which outlives it counts up to its end.
    """
    limit = context.settings.max_trace_spans
    return answers.json(analysis_document.trace(await use_cases.analyse(context.services.analysis, context.tenant_id, trace_id, limit)))


@router.get(
    "/service-map",
    tags=["services"],
    response_class=Response,
    responses={200: {"model": schemas.ServiceMap, "description": "Calls by step and edge, most first."}, **answers.problems(413)},
)
async def get_service_map(context: InContext, query: Annotated[StepParameters, Query()]) -> Response:
    """Read who calls whom, how often, how long it takes and how often it fails.

    Calls are paired every minute, some minutes behind; the newest are paired when asked for. A call counts in the step in which the
    called span began.
    """
    services = context.services
    steps, found, found_meta = await use_cases.service_map(
        services.analysis, services.tiers, context.tenant_id, query.read(context), query.service, services.now_ns()
    )
    return answers.json({"steps": analysis_document.edges(steps, found), "meta": meta.document(found_meta)})


@router.get(
    "/services/red",
    tags=["services"],
    response_class=Response,
    responses={200: {"model": schemas.ServiceRates, "description": "Rate, errors and duration by step."}, **answers.problems(413)},
)
async def get_service_rates(context: InContext, query: Annotated[RatesParameters, Query()]) -> Response:
    """Read rate, errors and duration (RED) of services, or of their operations, from the coarsest rollups that are exact."""
    services = context.services
    steps, found, found_meta = await use_cases.red(
        services.analysis, services.tiers, context.tenant_id, query.read(context), query.wanted()
    )
    return answers.json({"steps": analysis_document.services(steps, found), "meta": meta.document(found_meta)})


@router.get(
    "/services/compare",
    tags=["services"],
    response_class=Response,
    responses={200: {"model": schemas.ServiceComparison, "description": "Changes, the greatest first."}, **answers.problems(413)},
)
async def compare_periods(context: InContext, query: Annotated[PeriodParameters, Query()]) -> Response:
    """Compare two periods: rate, errors and duration of every operation, with what changed most first."""
    limit = page_size(query.limit, context.settings.max_page)
    now = context.services.now_ns()
    before = Read(parse_range(query.before_start, query.before_end, now), None, context.settings.max_points)
    after = Read(parse_range(query.after_start, query.after_end, now), None, context.settings.max_points)
    by_operation = query.by == "operation" or query.operation is not None
    wanted = Wanted(query.service, query.operation, _kinds(query.kind), by_operation)
    services = context.services
    changes, metas = await use_cases.compare_periods(
        services.analysis, services.tiers, context.tenant_id, (before, after), wanted, query.sort
    )
    seconds = [(read.time.end_ns - read.time.start_ns) / 1e9 for read in (before, after)]
    return answers.json(
        {
            "changes": [analysis_document.change(one, seconds[0], seconds[1]) for one in changes[:limit]],
            "truncated": len(changes) > limit,
            "before_meta": meta.document(metas[0]),
            "after_meta": meta.document(metas[1]),
        }
    )


def _kinds(text: str) -> tuple[int, ...]:
    if text == "any":
        return tuple(range(6))
    return tuple(sorted({traces.parse_kind(part) for part in text.split(",")}))
