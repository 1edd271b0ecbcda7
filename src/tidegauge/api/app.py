"""The query API as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from tidegauge import __version__
from tidegauge.api import problems
from tidegauge.api.context import Context
from tidegauge.api.routers import traces
from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings

__all__ = ["ApiServices", "create_app"]


def create_app(services: ApiServices, settings: ApiSettings) -> FastAPI:
    """The application: ``/api/v1``, ``/api/health`` and its documentation."""
    app = FastAPI(
        title="Tidegauge",
        version=__version__,
        summary="Query API of the Tidegauge telemetry store",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = Context(services, settings)
    problems.install(app)
    app.include_router(traces.router)
    return app
