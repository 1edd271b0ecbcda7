"""What routes answer with, and what OpenAPI says about it."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi.responses import Response

from tidegauge.api.problems import MEDIA_TYPE
from tidegauge.api.schemas import Problem

_PROBLEMS = {
    400: "A parameter is unknown or cannot be read; `errors` names it.",
    401: "No API token, or a wrong one.",
    403: "The SQL does more than read what it may.",
    404: "What was asked for by name or id is not there.",
    413: "The trace has more spans than an answer holds, and `format=otlp` is not cut; or the answer has more rows than one may have.",
    422: "The SQL would cost more than it may, or took too long. It will not do better another time.",
    429: "The client asks more often than it may. Retry-After says when to try again, RateLimit-Remaining how often it may before.",
    503: "The store is away, or the query ran into its time limit. Retry-After says when to try again.",
}


def json(document: object) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(document), media_type="application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer with, beside those that all have."""
    # With `model`, FastAPI would name the media type of the answer itself.
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({400, 401, 429, 503, *statuses})
    }
