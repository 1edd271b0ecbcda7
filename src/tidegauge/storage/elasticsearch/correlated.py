"""Requests to Elasticsearch say on whose behalf they are made: its slow log and its list of tasks show that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elastic_transport import AsyncTransport, TransportApiResponse

from tidegauge import correlation

# Elasticsearch's own name for such an id; traceparent it knows as well.
_OPAQUE_ID = "x-opaque-id"


class CorrelatedTransport(AsyncTransport):
    """The client's transport, with the current request's headers added."""

    async def perform_request(  # type: ignore[override]
        self, method: str, target: str, *, headers: Any = None, **options: Any
    ) -> TransportApiResponse:
        """See ``AsyncTransport.perform_request``."""
        found = correlation.outgoing()
        if found:
            found[_OPAQUE_ID] = found[correlation.REQUEST_ID]
        given: Mapping[str, Any] = headers if isinstance(headers, Mapping) else {}
        response: TransportApiResponse = await super().perform_request(method, target, headers={**given, **found}, **options)
        return response
