"""Analysts' SQL over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Any

import orjson
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from tidegauge.api import answers, sql_schemas
from tidegauge.api.context import InContext
from tidegauge.api.disconnect import ClientGone, while_connected
from tidegauge.api.sql_schemas import SqlRequest
from tidegauge.errors import InvalidArgument, NotFound, PayloadTooLarge
from tidegauge.query.sql import Answer, Question
from tidegauge.query.sql_forms import MEDIA_TYPES, Form

router = APIRouter(prefix="/api/v1")

_MAX_BODY = 1 << 20
_PIECE = 1 << 16
_CLIENT_CLOSED_REQUEST = 499
_HEADERS: dict[str, Any] = {
    "Tidegauge-Rows": {"description": "how many rows these are", "schema": {"type": "integer"}},
    "Tidegauge-Truncated": {"description": "which limit cut the answer short", "schema": {"type": "string", "enum": ["rows", "bytes"]}},
    "Tidegauge-Cost": {"description": "of the plan, in EXPLAIN's units", "schema": {"type": "number"}},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/sql",
    tags=["sql"],
    response_class=Response,
    responses={
        200: {
            "model": sql_schemas.SqlAnswer,
            "description": "The rows, or as many as an answer holds.",
            "headers": _HEADERS,
            "content": {MEDIA_TYPES[form].partition(";")[0]: _BINARY for form in Form if form is not Form.JSON},
        },
        **answers.problems(403, 404, 413, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": SqlRequest.model_json_schema()}}}},
)
async def run_sql(context: InContext, request: Request) -> Response:
    """Run one SELECT as a role that may only read, and answer with its rows as JSON, CSV, Arrow or Parquet.

    Rows, bytes, time and cost are bounded (`TIDEGAUGE_SQL_…`); an answer that was cut says so. The statement is ended when its client goes
    away.
    """
    if (endpoint := context.services.sql) is None:
        raise NotFound("the SQL endpoint is turned off here", hint="TIDEGAUGE_SQL_ENABLED=true turns it on")
    question = _question(await _body(request), request.headers.get("accept", ""))
    try:
        answer = await while_connected(request.receive, endpoint.ask(question))
    except ClientGone:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    return StreamingResponse(_pieces(answer.file), headers=_told(answer), media_type=MEDIA_TYPES[question.form])


def _told(answer: Answer) -> dict[str, str]:
    ending = answer.ending
    headers = {
        "Content-Length": str(answer.size),
        "Cache-Control": "no-store",
        "Tidegauge-Rows": str(ending.rows),
        "Tidegauge-Cost": f"{ending.cost:g}",
    }
    return headers if ending.truncated is None else headers | {"Tidegauge-Truncated": ending.truncated.value}


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MAX_BODY:
            raise PayloadTooLarge(
                f"a body of more than {_MAX_BODY} bytes", hint="give long lists in several requests, or join with a table"
            )
        parts.append(part)
    return b"".join(parts)


def _question(body: bytes, accept: str) -> Question:
    try:
        asked = SqlRequest.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"the body is no JSON: {error}", hint='send {"sql": "SELECT …"}', parameter="body") from error
    except ValidationError as error:
        # Their places stand behind "body", as where FastAPI reads a body itself.
        raise RequestValidationError([fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]) from error
    form = _accepted(accept) if asked.format is None else Form(asked.format)
    return Question(asked.sql, asked.parameters, form, asked.max_rows, asked.numeric == "double")


def _accepted(accept: str) -> Form:
    """The form with the highest quality (RFC 9110, 12.5.1); JSON where none of ours is asked for."""
    forms = {media_type.partition(";")[0]: form for form, media_type in MEDIA_TYPES.items()}
    found: list[tuple[float, Form]] = []
    for each in accept.lower().split(","):
        media_type, *parameters = [part.strip() for part in each.split(";")]
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if media_type in forms:
            found.append((float(quality) if quality.replace(".", "", 1).isdigit() else 0.0, forms[media_type]))
    return max(found, key=lambda each: each[0], default=(1.0, Form.JSON))[1]
