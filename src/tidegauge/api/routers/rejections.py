"""What was rejected, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, schemas
from tidegauge.api.context import InContext
from tidegauge.api.formats import Json
from tidegauge.api.parameters import PageParameters, TimeParameters
from tidegauge.model.query import RejectionFilter, TimeRange
from tidegauge.model.records import RejectionCount, StoredRejection
from tidegauge.model.samples import SAMPLE_BYTES
from tidegauge.otlp.samples import shown
from tidegauge.query import rejections
from tidegauge.query.paging import Listing, page_size

router = APIRouter(prefix="/api/v1/rejections", tags=["rejections"])


class _Filters(TimeParameters):
    """What both endpoints select by."""

    signal: str | None = Field(None, description="traces, metrics or logs", examples=["traces"])
    reason: str | None = Field(None, description="the reason's name", examples=["too_old"])
    service: str | None = Field(None, description="service.name of the sender; empty for those of whom it is not known", examples=["cart"])

    def wanted(self, time: TimeRange) -> RejectionFilter:
        """The filter."""
        signal = None if self.signal is None else rejections.parse_signal(self.signal)
        return RejectionFilter(time=time, signal=signal, reason=self.reason, service=self.service)


class SearchParameters(_Filters, PageParameters):
    """Parameters of a search."""


class SummaryParameters(_Filters):
    """Parameters of a summary."""


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": schemas.Rejections, "description": "A page, newest first."}, **answers.problems()},
)
async def find_rejections(context: InContext, query: Annotated[SearchParameters, Query()]) -> Response:
    """Search what was rejected, dropped or changed on arrival, newest first, with a sample of each.

    The first rejections of a minute, reason and service are told one by one; further ones are added up in a row without a sample.
    """
    limit = page_size(query.limit, context.settings.max_page)
    place = query.place(Listing.REJECTIONS, context.services.now_ns())
    found = await rejections.find_rejections(context.services.rejections, context.tenant_id, query.wanted(place.time), limit, place.after)
    return answers.json({"rejections": [_rejection(row) for row in found.rows], "next_cursor": found.next_cursor})


@router.get(
    "/summary",
    response_class=Response,
    responses={200: {"model": schemas.RejectionSummary, "description": "Counts, most items first."}, **answers.problems()},
)
async def count_rejections(context: InContext, query: Annotated[SummaryParameters, Query()]) -> Response:
    """Count items by signal and reason, with the services that lost most. Counts are exact, to the minute at both ends of the range."""
    time = query.time(context.services.now_ns())
    found = await rejections.count_rejections(context.services.rejections, context.tenant_id, query.wanted(time))
    return answers.json({"start": formats.time(time.start_ns), "end": formats.time(time.end_ns), "counts": [_count(row) for row in found]})


def _rejection(row: StoredRejection) -> Json:
    return {
        "rejection_id": row.rejection_id,
        "rejected_at": formats.time(row.rejected_at_unix_nano),
        "signal": row.signal.name.lower(),
        "reason": row.reason,
        "message": row.message,
        "items": row.items,
        "service": row.service or None,
        "digest": row.digest or None,
        "is_sum": not row.digest,
        "sample": None if row.sample is None else _sample(row.sample, row.sample_type),
    }


def _sample(sample: bytes, sample_type: str) -> Json:
    found = shown(sample, sample_type, SAMPLE_BYTES)
    return {"format": found.format, "message": found.message or None, "value": found.value, "is_whole": found.is_whole}


def _count(row: RejectionCount) -> Json:
    return {
        "signal": row.signal.name.lower(),
        "reason": row.reason,
        "items": row.items,
        "first": formats.time(row.first_unix_nano),
        "last": formats.time(row.last_unix_nano),
        "services": [{"service": each.service or None, "items": each.items} for each in row.services],
    }
