"""The query API as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from tidegauge import __version__
from tidegauge.api import docs, problems
from tidegauge.api.auth import BearerAuth
from tidegauge.api.cache_headers import CacheHeaders
from tidegauge.api.context import Context
from tidegauge.api.disconnect import CancelOnDisconnect
from tidegauge.api.routers import (
    analysis,
    applications,
    attributes,
    exposition,
    health,
    logs,
    metrics,
    operations,
    percentiles,
    rejections,
    span_rates,
    sql,
    tail,
    traces,
)
from tidegauge.api.services import ApiServices, Limits
from tidegauge.api.throttle import Throttle
from tidegauge.clients import client_naming
from tidegauge.config import ApiSettings

__all__ = ["ApiServices", "create_app"]

_DESCRIPTION = (
    "Reads what OpenTelemetry exporters sent: traces, metrics with hourly and daily rollups, and logs. Times are RFC 3339, Unix seconds or "
    "now-1h; errors are problem documents (RFC 9457); unknown parameters are refused."
)
_TAGS = [
    {"name": "traces", "description": "Search spans and traces; read a trace as a tree."},
    {"name": "services", "description": "Who calls whom; rate, errors and duration; what changed."},
    {"name": "attributes", "description": "Which attributes there are, and their values: suggestions for searches."},
    {"name": "metrics", "description": "List metrics; read values by step and rollups."},
    {"name": "logs", "description": "Search, count, follow and delete log records."},
    {"name": "rejections", "description": "What was refused or changed on arrival, and why."},
    {"name": "applications", "description": "What has sent telemetry."},
    {"name": "sql", "description": "SQL that reads, over HTTP."},
    {"name": "alerts", "description": "Alerts."},
    {"name": "health", "description": "For load balancers and orchestrators; needs no token."},
]


def create_app(services: ApiServices, settings: ApiSettings, limits: Limits | None = None) -> FastAPI:
    """The application: ``/api/v1``, ``/api/health`` and its documentation. With ``settings.token``, all but health needs the token.

    ``limits`` are those of a client's requests; None for none.
    """
    app = FastAPI(
        title="Tidegauge",
        version=__version__,
        summary="Query API of the Tidegauge telemetry store",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the client sent, which behind a proxy is not the one to use.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.context = Context(services, settings)
    problems.install(app)
    for router in (
        applications.router,
        attributes.router,
        # Before the routes whose last part may be anything.
        percentiles.router,
        metrics.router,
        operations.router,
        # Before traces: `rates` is no trace's id.
        span_rates.router,
        # Before traces: `examples` is no trace's id.
        analysis.router,
        traces.router,
        tail.router,
        logs.router,
        logs.of_traces,
        rejections.router,
        sql.router,
        health.router,
        exposition.router,
    ):
        app.include_router(router)
    docs.install(app)
    token = None if settings.token is None else settings.token.get_secret_value()
    app.add_middleware(CancelOnDisconnect)
    app.add_middleware(CacheHeaders, now_ns=services.now_ns)
    if limits is not None:
        # Behind the token: who has none makes no counters, and cannot use up those of who has.
        app.add_middleware(Throttle, limiter=limits.limiter, client_of=client_naming(token, limits.trusted_proxies))
    app.add_middleware(BearerAuth, token=token, refuse=problems.refusal)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
