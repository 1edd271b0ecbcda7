"""Spans and traces."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, otlp_document, schemas, trace_document
from tidegauge.api.context import Context, InContext
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.parameters import DURATIONS, PageParameters, Parameters
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import SpanFilter, TraceFilter
from tidegauge.model.records import SpanSummary, TraceSummary
from tidegauge.query import traces
from tidegauge.query.matchers import ATTRIBUTE_FORM, parse_attributes
from tidegauge.query.paging import Listing, page_size
from tidegauge.query.times import parse_duration

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])

_SPANS_ALONE = ("operation", "kind", "attribute")


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

    view: View = Field(View.SPANS, description="list single spans, or traces (with no filter by operation, kind or attribute)")
    service: str | None = Field(None, description="service.name", examples=["cart"])
    operation: str | None = Field(None, description="the span's name", examples=["GET /cart"])
    kind: str | None = Field(None, description="internal, server, client, producer or consumer", examples=["server"])
    status: str | None = Field(None, description="unset, ok or error; of traces `error` finds those with a failed span", examples=["error"])
    min_duration: str | None = Field(None, description=f"{DURATIONS}; inclusive", examples=["250ms"])
    max_duration: str | None = Field(None, description=f"{DURATIONS}; inclusive", examples=["1.5s"])
    attribute: list[str] = Field(
        default_factory=list, description=f"may be repeated, then all must hold: {ATTRIBUTE_FORM}", examples=[["http.route=/cart"]]
    )


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": schemas.Spans | schemas.Traces, "description": "A page, newest first."}, **answers.problems()},
)
async def find_spans(context: InContext, query: Annotated[SearchParameters, Query()]) -> Response:
    """Search spans, or traces, newest first.

    Pages follow each other by `cursor`: no row is repeated or skipped, however many rows arrive in between.
    """
    limit = page_size(query.limit, context.settings.max_page)
    if query.view is View.TRACES:
        return await _find_traces(context, query, limit)
    place = query.place(Listing.SPANS, context.services.now_ns())
    wanted = SpanFilter(
        time=place.time,
        service=query.service,
        operation=query.operation,
        kind=None if query.kind is None else traces.parse_kind(query.kind),
        status_code=None if query.status is None else traces.parse_status(query.status),
        min_duration_ns=_duration(query.min_duration, "min_duration"),
        max_duration_ns=_duration(query.max_duration, "max_duration"),
        attributes=parse_attributes(query.attribute),
    )
    found = await traces.find_spans(context.services.traces, context.tenant_id, wanted, limit, place.after)
    return answers.json({"spans": [_span(row) for row in found.rows], "next_cursor": found.next_cursor})


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


async def _find_traces(context: Context, query: SearchParameters, limit: int) -> Response:
    for name in _SPANS_ALONE:
        if getattr(query, name):
            raise InvalidArgument(f"{name} is a filter of spans", hint="leave it out, or ask for view=spans", parameter=name)
    status = None if query.status is None else traces.parse_status(query.status)
    place = query.place(Listing.TRACES, context.services.now_ns())
    wanted = TraceFilter(
        time=place.time,
        service=query.service,
        errors=None if status is None else formats.status_code(status) == "ERROR",
        min_duration_ns=_duration(query.min_duration, "min_duration"),
        max_duration_ns=_duration(query.max_duration, "max_duration"),
    )
    found = await traces.find_traces(context.services.traces, context.tenant_id, wanted, limit, place.after)
    return answers.json({"traces": [_trace(row) for row in found.rows], "next_cursor": found.next_cursor})


def _duration(text: str | None, parameter: str) -> int | None:
    return None if text is None else parse_duration(text, parameter)


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
