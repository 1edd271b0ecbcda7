"""Spans and traces."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from tidegauge.api import formats, trace_document
from tidegauge.api.context import InContext
from tidegauge.query import traces

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])


class AttributesForm(Enum):
    """How attributes are written."""

    TYPED = "typed"
    MAP = "map"


class TraceQuery(BaseModel):
    """Parameters of a trace."""

    model_config = ConfigDict(extra="forbid")
    attributes: AttributesForm = Field(
        AttributesForm.TYPED, description="`typed`: OTLP/JSON, lossless; `map`: a plain JSON object, for convenience"
    )


@router.get("/{trace_id}")
async def get_trace(
    context: InContext,
    trace_id: Annotated[str, Path(description="32 hexadecimal digits", examples=["5b8efff798038103d269b633813fc60c"])],
    query: Annotated[TraceQuery, Query()],
) -> Response:
    """All spans of a trace, as a tree."""
    trace = await traces.read_trace(context.services.traces, context.tenant_id, trace_id, context.settings.max_trace_spans)
    form = formats.plain if query.attributes is AttributesForm.MAP else formats.typed
    return Response(trace_document.encode(trace, form), media_type="application/json")
