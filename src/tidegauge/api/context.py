"""What every route gets: the services, the settings and the tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings


@dataclass(frozen=True, slots=True)
class Context:
    """Of one request. The tenant comes from the credentials, never from a header alone; there is only tenant 0 until sign-in exists."""

    services: ApiServices
    settings: ApiSettings
    tenant_id: int = 0


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(_context)]
