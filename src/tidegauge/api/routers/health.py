"""Health, for load balancers and orchestrators. Needs no token."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tidegauge.api import answers, formats, health_schemas
from tidegauge.api.context import InContext
from tidegauge.api.problems import problem
from tidegauge.health.circuits import CircuitStatus
from tidegauge.health.readiness import OK, serves

router = APIRouter(prefix="/api/health", tags=["health"])

_NOT_READY = answers.problems()[503] | {"description": "No store answers; `errors` names them."}


@router.get("/live", response_class=Response, responses={200: {"model": health_schemas.Health, "description": "The program runs."}})
async def get_liveness() -> Response:
    """Say whether the program runs, whatever its dependencies do."""
    return answers.json({"status": "ok"})


@router.get(
    "/ready",
    response_class=Response,
    responses={200: {"model": health_schemas.Readiness, "description": "At least one store answers."}, 503: _NOT_READY},
)
async def get_readiness(context: InContext, request: Request) -> Response:
    """Say whether the program can do its work.

    While one of several stores is away the others' work goes on: the status is `degraded` then, and `checks` says what is wrong. Redis
    can be done without.
    """
    checks = await context.services.readiness()
    failed = {name: state for name, state in checks.items() if state != OK}
    if serves(checks):
        return answers.json({"status": "degraded" if failed else "ok", "checks": dict(checks)})
    return problem(
        503,
        "Not ready",
        "; ".join(f"{name}: {state}" for name, state in failed.items()),
        instance=request.url.path,
        errors=[{"parameter": name, "message": state} for name, state in failed.items()],
        headers={"Retry-After": "1"},
    )


@router.get(
    "/circuits",
    response_class=Response,
    responses={200: {"model": health_schemas.Circuits, "description": "Circuit breakers, one a dependency."}},
)
async def get_circuits(context: InContext) -> Response:
    """Say which dependencies queries are kept from for a while, because they failed again and again, and until when."""
    return answers.json({"process": os.getpid(), "circuits": [_circuit(status) for status in context.services.circuits()]})


def _circuit(status: CircuitStatus) -> formats.Json:
    return {
        "dependency": status.dependency,
        "state": status.state.value,
        "failures": status.failures,
        "opened_at": _time(status.opened_at),
        "next_probe_at": _time(status.next_probe_at),
        "last_error": status.last_error,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else formats.time(round(seconds * 1000) * 1_000_000)
