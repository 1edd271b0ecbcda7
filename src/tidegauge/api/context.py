"""What every route gets: the services, the settings and the tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings
from tidegauge.errors import InvalidArgument

_REPEATABLE = frozenset({"attribute", "group_by", "match", "q"})


@dataclass(frozen=True, slots=True)
class Context:
    """Of one request. The tenant comes from the credentials, never from a header alone; there is only tenant 0 until sign-in exists."""

    services: ApiServices
    settings: ApiSettings
    tenant_id: int = 0


async def _context(request: Request) -> Context:
    # Not because it waits: what does not is run in another thread.
    for name in request.query_params:
        if name not in _REPEATABLE and len(request.query_params.getlist(name)) > 1:
            # One of them would count and the others be ignored.
            raise InvalidArgument(f"{name} stands more than once", hint="give it once", parameter=name)
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(_context)]
