"""Health, for load balancers and orchestrators. Needs no token."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tidegauge.api import answers, schemas
from tidegauge.api.context import InContext
from tidegauge.api.problems import problem

router = APIRouter(prefix="/api/health", tags=["health"])

_NOT_READY = answers.problems()[503] | {"description": "A dependency is away; `errors` names it."}


@router.get("/live", response_class=Response, responses={200: {"model": schemas.Health, "description": "The program runs."}})
async def get_liveness() -> Response:
    """Say whether the program runs, whatever its dependencies do."""
    return answers.json({"status": "ok"})


@router.get(
    "/ready",
    response_class=Response,
    responses={200: {"model": schemas.Readiness, "description": "All dependencies answer."}, 503: _NOT_READY},
)
async def get_readiness(context: InContext, request: Request) -> Response:
    """Say whether the program can do its work: whether its database and whatever else it needs answer."""
    checks = await context.services.readiness()
    failed = {name: state for name, state in checks.items() if state != "ok"}
    if not failed:
        return answers.json({"status": "ok", "checks": dict(checks)})
    return problem(
        503,
        "Not ready",
        "; ".join(f"{name}: {state}" for name, state in failed.items()),
        instance=request.url.path,
        errors=[{"parameter": name, "message": state} for name, state in failed.items()],
        headers={"Retry-After": "1"},
    )
