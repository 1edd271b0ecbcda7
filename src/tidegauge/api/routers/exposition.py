"""The program's metrics about itself, for Prometheus. Needs the token, where there is one."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from tidegauge.api.context import InContext

router = APIRouter(tags=["health"])

# Prometheus' text format, https://prometheus.io/docs/instrumenting/exposition_formats/.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


# Not JSON, and not of the API: Prometheus knows what it is.
@router.get("/metrics", include_in_schema=False)
async def get_own_metrics(context: InContext) -> Response:
    """Say how the program itself fares."""
    return Response(await context.services.exposition(), headers={"content-type": MEDIA_TYPE})
