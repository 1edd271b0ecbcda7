"""Spans and traces."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, otlp_document, schemas, search_schemas, trace_document
from tidegauge.api.context import Context, InContext
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.parameters import DURATIONS, PageParameters, Parameters
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import SpanFilter, TimeRange, TraceFilter
from tidegauge.model.records import SpanSummary, TraceSummary
from tidegauge.model.search import SearchOrder
from tidegauge.query import traces
from tidegauge.query.paging import Place, page_size
from tidegauge.query.search_conditions import CONDITION_FORM, parse_conditions, parse_text
from tidegauge.query.times import parse_duration
from tidegauge.query.traces import Found

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])
T = TypeVar("T")

_TRACES_ALONE = ("errors", "min_trace_duration", "max_trace_duration")


class View(Enum):
    """What is listed."""

    SPANS = "spans"
    TRACES = "traces"


class TraceFormat(Enum):
    """How a trace is written."""

    TREE = "tree"
    OTLP = "otlp"


class TraceParameters(Parameters):
    """Parameters of a trace."""

    attributes: AttributesForm = Field(
        AttributesForm.TYPED, description="`typed`: OTLP/JSON, lossless; `map`: a plain JSON object, for convenience"
    )
    format: TraceFormat = Field(TraceFormat.TREE, description="`tree`: nested spans; `otlp`: OTLP/JSON TracesData")


class SearchParameters(PageParameters):
    """Parameters of a search."""

    view: View = Field(View.SPANS, description="list single spans, or traces that have a span that matches all filters")
    order: SearchOrder = Field(SearchOrder.NEWEST, description="`newest` or `slowest` first (traces: by their slowest span that matches)")
    service: str | None = Field(None, description="service.name", examples=["cart"])
    operation: str | None = Field(None, description="the span's name", examples=["GET /cart"])
    kind: str | None = Field(None, description="internal, server, client, producer or consumer", examples=["server"])
    status: str | None = Field(None, description="unset, ok or error", examples=["error"])
    min_duration: str | None = Field(None, description=f"of the span: {DURATIONS}; inclusive", examples=["250ms"])
    max_duration: str | None = Field(None, description=f"of the span: {DURATIONS}; inclusive", examples=["1.5s"])
    attribute: list[str] = Field(
        default_factory=list, description=f"may be repeated, then all must hold: {CONDITION_FORM}", examples=[["http.route=/cart"]]
    )
    text: str | None = Field(
        None,
        description="part of the span's name, its status' message, or an event's name, exception.type or exception.message; in any case",
        examples=["timeout"],
    )
    errors: bool | None = Field(None, description="view=traces: only traces with (or without) a failed span")
    min_trace_duration: str | None = Field(None, description=f"view=traces: of the whole trace: {DURATIONS}; inclusive")
    max_trace_duration: str | None = Field(None, description=f"view=traces: of the whole trace: {DURATIONS}; inclusive")

    def spans(self, time: TimeRange) -> SpanFilter:
        """What a span has to be."""
        attributes, conditions = parse_conditions(self.attribute)
        least, most = _durations(self.min_duration, self.max_duration, "min_duration")
        return SpanFilter(
            time=time,
            service=self.service,
            operation=self.operation,
            kind=None if self.kind is None else traces.parse_kind(self.kind),
            status_code=None if self.status is None else traces.parse_status(self.status),
            min_duration_ns=least,
            max_duration_ns=most,
            attributes=attributes,
            conditions=conditions,
            text=parse_text(self.text),
        )


@router.get(
    "",
    response_class=Response,
    responses={
        200: {"model": search_schemas.SpanPage | search_schemas.TracePage, "description": "A page, newest or slowest first."},
        **answers.problems(),
    },
)
async def find_spans(context: InContext, query: Annotated[SearchParameters, Query()]) -> Response:
    """Search spans, or traces, newest or slowest first.

    Pages follow each other by `cursor`: no row is repeated or skipped, however many rows arrive in between. A search that takes longer than
    `TIDEGAUGE_API_SEARCH_TIME` answers with what it has found; `next_cursor` goes on from there, and `meta.complete` is false.
    """
    limit = page_size(query.limit, context.settings.max_page)
    place = query.place(traces.LISTINGS[query.order, query.view is View.TRACES], context.services.now_ns())
    if query.view is View.TRACES:
        return await _find_traces(context, query, limit, place)
    for name in _TRACES_ALONE:
        if getattr(query, name) is not None:
            raise InvalidArgument(f"{name} is a filter of traces", hint="leave it out, or ask for view=traces", parameter=name)
    wanted = query.spans(place.time)
    found = await traces.find_spans(context.services.traces, context.tenant_id, wanted, limit, place.after, query.order)
    return answers.json({"spans": [_span(row) for row in found.rows], "next_cursor": found.next_cursor, "meta": _meta(found)})


@router.get(
    "/{trace_id}",
    response_class=Response,
    responses={200: {"model": schemas.Trace, "description": "The trace."}, **answers.problems(404, 413)},
)
async def get_trace(
    context: InContext,
    trace_id: Annotated[str, Path(description="32 hexadecimal digits", examples=["5b8efff798038103d269b633813fc60c"])],
    query: Annotated[TraceParameters, Query()],
) -> Response:
    """Read a trace: all its spans as a tree, with everything that was sent.

    A span whose parent is not in the trace, or whose parents lead in a circle, stands at the top and says so in `detached`. A span that
    was sent twice stands once. A trace of more spans than an answer holds is cut as a tree (`truncated`) and refused as OTLP.
    """
    # An importer would not see that an OTLP document is cut: there is no place in it to say so.
    whole = query.format is TraceFormat.OTLP
    trace = await traces.read_trace(context.services.traces, context.tenant_id, trace_id, context.settings.max_trace_spans, whole=whole)
    document = otlp_document.encode(trace) if whole else trace_document.encode(trace, query.attributes)
    return Response(document, media_type="application/json")


async def _find_traces(context: Context, query: SearchParameters, limit: int, place: Place) -> Response:
    least, most = _durations(query.min_trace_duration, query.max_trace_duration, "min_trace_duration")
    wanted = TraceFilter(spans=query.spans(place.time), errors=query.errors, min_duration_ns=least, max_duration_ns=most)
    found = await traces.find_traces(context.services.traces, context.tenant_id, wanted, limit, place.after, query.order)
    return answers.json({"traces": [_trace(row) for row in found.rows], "next_cursor": found.next_cursor, "meta": _meta(found)})


def _meta(found: Found[T]) -> Json:
    return {"complete": found.complete, "searched_to": None if found.reached_ns is None else formats.time(found.reached_ns)}


def _durations(least: str | None, most: str | None, parameter: str) -> tuple[int | None, int | None]:
    """``parameter`` is the first one's name; the other's begins with max_ instead."""
    other = parameter.replace("min_", "max_")
    found = None if least is None else parse_duration(least, parameter), None if most is None else parse_duration(most, other)
    if found[0] is not None and found[1] is not None and found[0] > found[1]:
        raise InvalidArgument(f"{parameter}={least!r} is longer than {other}={most!r}", hint="both are inclusive", parameter=parameter)
    return found


def _span(row: SpanSummary) -> Json:
    return {
        "trace_id": row.trace_id,
        "span_id": row.span_id,
        "parent_span_id": row.parent_span_id or None,
        "application_id": row.application_id,
        "service": row.service,
        "name": row.name,
        "kind": formats.span_kind(row.kind),
        "status": {"code": formats.status_code(row.status_code), "message": row.status_message},
        "start_time": formats.time(row.start_time_unix_nano),
        "start_time_unix_nano": str(row.start_time_unix_nano),
        "duration_ns": row.duration_ns,
    }


def _trace(row: TraceSummary) -> Json:
    root = {
        "span_id": row.root_span_id,
        "service": row.root_service,
        "name": row.root_name,
        "duration_ns": row.root_duration_ns,
    }
    return {
        "trace_id": row.trace_id,
        "start_time": formats.time(row.start_time_unix_nano),
        "end_time": formats.time(row.end_time_unix_nano),
        "duration_ns": row.end_time_unix_nano - row.start_time_unix_nano,
        "span_count": row.span_count,
        "error_count": row.error_count,
        "services": row.services,
        "root": root if row.root_span_id else None,
    }
