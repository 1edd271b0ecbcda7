"""Log records."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, schemas
from tidegauge.api.context import InContext
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.parameters import PageParameters
from tidegauge.api.shared import Shared
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import LogFilter
from tidegauge.model.records import LogRecord
from tidegauge.query import logs
from tidegauge.query.matchers import ATTRIBUTE_FORM, parse_attributes
from tidegauge.query.paging import Listing, page_size
from tidegauge.query.traces import parse_span_id, parse_trace_id

router = APIRouter(prefix="/api/v1/logs", tags=["logs"])


class LogParameters(PageParameters):
    """Parameters of a search."""

    text: str | None = Field(
        None,
        description='words that the body must hold, in any order; "several words" in quotes as a phrase; or; -not',
        examples=["payment declined"],
    )
    severity: str | None = Field(
        None, description="trace, debug, info, warn, error or fatal (each four of OTLP's numbers), error2, or a number", examples=["error"]
    )
    min_severity: str | None = Field(None, description="this severity or above; forms as for severity", examples=["warn"])
    service: str | None = Field(None, description="service.name", examples=["cart"])
    trace_id: str | None = Field(None, description="32 hexadecimal digits")
    span_id: str | None = Field(None, description="16 hexadecimal digits")
    attribute: list[str] = Field(
        default_factory=list, description=f"may be repeated, then all must hold: {ATTRIBUTE_FORM}", examples=[["http.route=/cart"]]
    )
    attributes: AttributesForm = Field(AttributesForm.TYPED, description="`typed`: OTLP/JSON, lossless; `map`: plain JSON, for convenience")


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": schemas.Logs, "description": "A page, newest first."}, **answers.problems()},
)
async def find_logs(context: InContext, query: Annotated[LogParameters, Query()]) -> Response:
    """Search log records, newest first, with everything that was sent.

    Pages follow each other by `cursor`: no record is repeated or skipped, however many arrive in between.
    """
    limit = page_size(query.limit, context.settings.max_page)
    place = query.place(Listing.LOGS, context.services.now_ns())
    lowest, highest = _severities(query)
    wanted = LogFilter(
        time=place.time,
        text=_text(query.text),
        min_severity=lowest,
        max_severity=highest,
        service=query.service,
        trace_id=None if query.trace_id is None else parse_trace_id(query.trace_id),
        span_id=None if query.span_id is None else parse_span_id(query.span_id),
        attributes=parse_attributes(query.attribute),
    )
    found = await logs.find_logs(context.services.logs, context.tenant_id, wanted, limit, place.after)
    shared = Shared(query.attributes)
    rows = [_log(row, query.attributes, shared) for row in found.rows]
    return answers.json({"logs": rows, "resources": shared.resources, "scopes": shared.scopes, "next_cursor": found.next_cursor})


def _severities(query: LogParameters) -> tuple[int | None, int | None]:
    if query.severity is not None and query.min_severity is not None:
        raise InvalidArgument("severity and min_severity exclude each other", hint="leave one of them out", parameter="min_severity")
    if query.severity is not None:
        return logs.parse_severity(query.severity, "severity")
    return (None if query.min_severity is None else logs.parse_severity(query.min_severity, "min_severity")[0]), None


def _text(text: str | None) -> str | None:
    if text is not None and ("\0" in text or not text.strip()):
        raise InvalidArgument("text holds no word", hint="leave it out, or say what to look for", parameter="text")
    return text


def _log(row: LogRecord, form: AttributesForm, shared: Shared) -> Json:
    return {
        "log_id": row.log_id,
        "timestamp": formats.time(row.timestamp_unix_nano),
        "time_unix_nano": str(row.time_unix_nano),
        "observed_time_unix_nano": str(row.observed_time_unix_nano),
        "severity_number": row.severity_number,
        "severity_text": row.severity_text,
        "event_name": row.event_name,
        "service": row.application.name,
        "body": form.any_value(row.body),
        "attributes": form.attributes(row.attributes),
        "dropped_attributes_count": row.dropped_attributes_count,
        "trace_id": row.trace_id or None,
        "span_id": row.span_id or None,
        "flags": row.flags,
        "resource": shared.resource(row.resource, row.application),
        "scope": shared.scope(row.scope),
    }
