"""Applications and alerts."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, formats, schemas
from tidegauge.api.context import InContext
from tidegauge.api.formats import Json
from tidegauge.api.parameters import Parameters
from tidegauge.model.records import Alert, Application
from tidegauge.query.paging import page_size

router = APIRouter(prefix="/api/v1")


class AlertStatus(Enum):
    """Of an alert."""

    ACTIVE = "ACTIVE"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    SILENCED = "SILENCED"


class AlertSeverity(Enum):
    """Of an alert, ascending."""

    INFO = "INFO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class ListParameters(Parameters):
    """A list."""

    limit: int | None = Field(None, description="most rows; 100 by default")


class AlertParameters(ListParameters):
    """Parameters of the list of alerts."""

    status: AlertStatus | None = Field(None, description="only those", examples=["ACTIVE"])
    severity: AlertSeverity | None = Field(None, description="only those", examples=["CRITICAL"])


@router.get(
    "/applications",
    tags=["applications"],
    response_class=Response,
    responses={200: {"model": schemas.Applications, "description": "All applications."}, **answers.problems()},
)
async def list_applications(context: InContext, query: Annotated[ListParameters, Query()]) -> Response:
    """List applications: what has sent telemetry, by namespace and name."""
    limit = page_size(query.limit, context.settings.max_page)
    found = await context.services.applications.applications(context.tenant_id, limit + 1)
    return answers.json({"applications": [_application(row) for row in found[:limit]], "truncated": len(found) > limit})


@router.get(
    "/alerts",
    tags=["alerts"],
    response_class=Response,
    responses={200: {"model": schemas.Alerts, "description": "Alerts that match."}, **answers.problems()},
)
async def list_alerts(context: InContext, query: Annotated[AlertParameters, Query()]) -> Response:
    """List alerts, most severe first, then newest first."""
    limit = page_size(query.limit, context.settings.max_page)
    status = None if query.status is None else query.status.value
    severity = None if query.severity is None else query.severity.value
    found = await context.services.applications.alerts(context.tenant_id, status, severity, limit + 1)
    return answers.json({"alerts": [_alert(row) for row in found[:limit]], "truncated": len(found) > limit})


def _application(row: Application) -> Json:
    return {
        "application_id": row.application_id,
        "namespace": row.namespace,
        "service": row.name,
        "environment": row.environment,
        "created_at": formats.time(row.created_at_unix_nano),
        "last_seen": formats.time(row.last_seen_unix_nano),
    }


def _alert(row: Alert) -> Json:
    return {
        "alert_id": row.alert_id,
        "name": row.name,
        "description": row.description,
        "status": row.status,
        "severity": row.severity,
        "service": row.service,
        "labels": row.labels,
        "value": formats.number(row.value),
        "created_at": formats.time(row.created_at_unix_nano),
        "updated_at": formats.time(row.updated_at_unix_nano),
        "resolved_at": None if row.resolved_at_unix_nano is None else formats.time(row.resolved_at_unix_nano),
    }
