"""Log records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from tidegauge.api import answers, formats, log_document, log_schemas
from tidegauge.api.context import Context, InContext
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.log_parameters import (
    Conditions,
    ContextParameters,
    CountParameters,
    DeleteParameters,
    FormParameters,
    OrderForm,
    SearchParameters,
    TopParameters,
    TraceLogsParameters,
)
from tidegauge.api.parameters import PageParameters
from tidegauge.api.shared import Shared
from tidegauge.model.query import TimeRange
from tidegauge.model.records import LogRecord
from tidegauge.query import logs
from tidegauge.query.paging import Listing, page_size

router = APIRouter(prefix=log_document.LOGS, tags=["logs"])
of_traces = APIRouter(prefix="/api/v1/traces", tags=["logs"])

_ALWAYS = TimeRange(0, (1 << 63) - 1)
LogId = Annotated[str, Path(description="a record's `log_id`", examples=["8c0c8f9a2b5e4d7f8a1b2c3d4e5f6071-3"])]
TraceId = Annotated[str, Path(description="32 hexadecimal digits", examples=["5b8efff798038103d269b633813fc60c"])]
SpanId = Annotated[str, Path(description="16 hexadecimal digits", examples=["eee19b7ec3c1b174"])]
_PAGE = {200: {"model": log_schemas.Logs, "description": "A page."}, **answers.problems()}


@router.get("", response_class=Response, responses=_PAGE)
async def find_logs(context: InContext, query: Annotated[SearchParameters, Query()]) -> Response:
    """Search log records, newest first or oldest first, with everything that was sent.

    Pages follow each other by `cursor`: no record is repeated or skipped, however many arrive in between.
    """
    return await _page(context, query, query.filter(), query.order, query.attributes)


@router.get(
    "/count",
    response_class=Response,
    responses={200: {"model": log_schemas.LogCounts, "description": "Counts by severity and step."}, **answers.problems()},
)
async def count_logs(context: InContext, query: Annotated[CountParameters, Query()]) -> Response:
    """Count log records over time, by severity."""
    wanted = query.filter().within(query.time(context.services.now_ns()))
    answer = await logs.count_logs(context.services.logs, context.tenant_id, wanted, query.step_ns(), context.settings.max_points)
    severities = [
        {
            "severity": logs.severity_name(one.severity_number),
            "severity_number": one.severity_number,
            "count": sum(count for _, count in one.points),
            "points": [(time / 1e9, count) for time, count in one.points],
        }
        for one in answer.severities
    ]
    document = {
        "start": formats.time(answer.time.start_ns),
        "end": formats.time(answer.time.end_ns),
        "step_seconds": answer.step_ns / 1e9,
        "count": sum(count for one in answer.severities for _, count in one.points),
        "severities": severities,
    }
    return answers.json(document)


@router.get(
    "/top",
    response_class=Response,
    responses={200: {"model": log_schemas.TopValues, "description": "Values and counts."}, **answers.problems()},
)
async def get_top_values(context: InContext, query: Annotated[TopParameters, Query()]) -> Response:
    """List the most frequent values of a field or attribute.

    Records without the field, or with an empty one, are not counted; of attributes strings (their first 8191 bytes), numbers and
    booleans are.
    """
    time = query.time(context.services.now_ns())
    field = logs.parse_field(query.field)
    found = await logs.top_values(context.services.logs, context.tenant_id, query.filter().within(time), field, query.limit)
    document = {
        "field": query.field,
        "start": formats.time(time.start_ns),
        "end": formats.time(time.end_ns),
        "values": [{"value": one.value, "count": one.count} for one in found],
    }
    return answers.json(document)


@router.get(
    "/{log_id}",
    response_class=Response,
    responses={200: {"model": log_schemas.OneLog, "description": "The record."}, **answers.problems(404)},
)
async def get_log(context: InContext, log_id: LogId, query: Annotated[FormParameters, Query()]) -> Response:
    """Read a log record; `links` lead to its trace and its neighbours."""
    shared = Shared(query.attributes)
    found = log_document.log(await logs.read_log(context.services.logs, context.tenant_id, log_id), query.attributes, shared)
    return answers.json({"log": found, "resources": shared.resources, "scopes": shared.scopes})


@router.get(
    "/{log_id}/context",
    response_class=Response,
    responses={200: {"model": log_schemas.LogContext, "description": "The record between its neighbours."}, **answers.problems(404)},
)
async def get_log_context(context: InContext, log_id: LogId, query: Annotated[ContextParameters, Query()]) -> Response:
    """Read what was logged right before and after a record: by all services, or what the filter lets through alone."""
    found = await logs.read_context(
        context.services.logs, context.tenant_id, log_id, query.before, query.after, query.filter().within(_ALWAYS)
    )
    shared = Shared(query.attributes)
    document = {
        "before": _logs(found.before, query.attributes, shared),
        "log": log_document.log(found.record, query.attributes, shared),
        "after": _logs(found.after, query.attributes, shared),
        "resources": shared.resources,
        "scopes": shared.scopes,
    }
    return answers.json(document)


@router.delete(
    "",
    response_class=Response,
    responses={200: {"model": log_schemas.DeletedLogs, "description": "How many were deleted."}, **answers.problems()},
)
async def delete_logs(context: InContext, query: Annotated[DeleteParameters, Query()]) -> Response:
    """Delete log records for good. The time range has to be named; other conditions narrow it.

    It is done in parts: where it fails, some records may be gone, and the same again deletes the rest. What is sent again within the
    window in which resends are recognised does not come back.
    """
    wanted = query.filter().within(query.time(context.services.now_ns()))
    return answers.json({"deleted": await context.services.logs.delete_logs(context.tenant_id, wanted)})


@of_traces.get("/{trace_id}/logs", response_class=Response, responses=_PAGE)
async def find_trace_logs(context: InContext, trace_id: TraceId, query: Annotated[TraceLogsParameters, Query()]) -> Response:
    """List the log records of a trace, oldest first. There need not be any span of it."""
    return await _page(context, query, query.conditions(trace_id), query.order, query.attributes)


@of_traces.get("/{trace_id}/spans/{span_id}/logs", response_class=Response, responses=_PAGE)
async def find_span_logs(
    context: InContext, trace_id: TraceId, span_id: SpanId, query: Annotated[TraceLogsParameters, Query()]
) -> Response:
    """List the log records of a span, oldest first."""
    return await _page(context, query, query.conditions(trace_id, span_id), query.order, query.attributes)


async def _page(context: Context, query: PageParameters, conditions: Conditions, order: OrderForm, form: AttributesForm) -> Response:
    limit = page_size(query.limit, context.settings.max_page)
    place = query.place(Listing.LOGS, context.services.now_ns())
    wanted = conditions.within(place.time)
    found = await logs.find_logs(context.services.logs, context.tenant_id, wanted, limit, place.after, order.order)
    shared = Shared(form)
    rows = _logs(found.rows, form, shared)
    return answers.json({"logs": rows, "resources": shared.resources, "scopes": shared.scopes, "next_cursor": found.next_cursor})


def _logs(rows: Sequence[LogRecord], form: AttributesForm, shared: Shared) -> list[Json]:
    return [log_document.log(row, form, shared) for row in rows]
