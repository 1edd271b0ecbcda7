"""Services, and the operations they have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, search_schemas
from tidegauge.api.context import InContext
from tidegauge.api.parameters import Parameters

router = APIRouter(prefix="/api/v1", tags=["traces"])


class OperationParameters(Parameters):
    """Parameters of a list of operations."""

    service: str | None = Field(None, description="service.name; without it those of all services", examples=["cart"])
    prefix: str = Field("", max_length=255, description="what the name begins with", examples=["GET "])


class ServiceParameters(Parameters):
    """Parameters of the list of services."""

    prefix: str = Field("", max_length=255, description="what the name begins with", examples=["shop-"])


@router.get(
    "/services",
    response_class=Response,
    responses={200: {"model": search_schemas.Services, "description": "Those that match, by name."}, **answers.problems()},
)
async def list_services(context: InContext, query: Annotated[ServiceParameters, Query()]) -> Response:
    """Names of services that have sent telemetry; `/api/v1/applications` tells namespace and environment as well."""
    most = context.settings.max_series
    found = await context.services.traces.services(context.tenant_id, query.prefix, most + 1)
    return answers.json({"services": found[:most], "truncated": len(found) > most})


@router.get(
    "/operations",
    response_class=Response,
    responses={200: {"model": search_schemas.Operations, "description": "By service and name."}, **answers.problems()},
)
async def list_operations(context: InContext, query: Annotated[OperationParameters, Query()]) -> Response:
    """Names of spans.

    A service that has too many (`TIDEGAUGE_CARDINALITY_MAX_SPAN_NAMES_PER_APPLICATION`) is listed with those that rollups tell apart.
    """
    most = context.settings.max_points
    found = await context.services.traces.operations(context.tenant_id, query.service, query.prefix, most + 1)
    operations = [{"service": one.service, "name": one.name, "last_seen": formats.time(one.last_seen_unix_nano)} for one in found[:most]]
    return answers.json({"operations": operations, "truncated": len(found) > most})
