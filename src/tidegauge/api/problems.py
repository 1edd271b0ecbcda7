"""Errors as problem documents (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from tidegauge.errors import InvalidArgument, MethodNotAllowed, RetryableError, SqlFailed, TidegaugeError

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    hint: str = "",
    instance: str = "",
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response with a problem document; ``errors`` name the parameters to blame (an extension member)."""
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {name: value for name, value in (("hint", hint), ("instance", instance), ("errors", list(errors))) if value}
    return Response(orjson.dumps(document), status, headers, MEDIA_TYPE)


def of_error(error: TidegaugeError, instance: str = "") -> Response:
    """The problem of one of our own errors."""
    headers = {"Retry-After": str(max(1, math.ceil(error.retry_after_seconds)))} if isinstance(error, RetryableError) else {}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="tidegauge"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    errors: list[dict[str, Any]] = []
    if isinstance(error, InvalidArgument) and error.parameter:
        errors = [{"parameter": error.parameter, "message": error.hint or error.message}]
    if isinstance(error, SqlFailed) and error.sqlstate:
        errors = [{"parameter": "sql", "message": error.message, "sqlstate": error.sqlstate, "position": error.position}]
    return problem(error.http_status, error.title, error.message, hint=error.hint, instance=instance, errors=errors, headers=headers)


def refusal(error: TidegaugeError, scope: Mapping[str, Any]) -> tuple[str, bytes]:
    """Media type and body with which :class:`tidegauge.api.auth.BearerAuth` refuses a request."""
    return MEDIA_TYPE, bytes(of_error(error, scope["path"]).body)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(TidegaugeError, _own)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _own(request: Request, error: Exception) -> Response:
    assert isinstance(error, TidegaugeError)
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, error)
    return of_error(error, request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(fault) for fault in error.errors()]
    detail = "; ".join(f"{fault['parameter']}: {fault['message']}" for fault in faults)
    return problem(400, InvalidArgument.title, detail, instance=request.url.path, errors=faults)


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    parameter = ".".join(str(part) for part in fault["loc"][1:]) or str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return {"parameter": parameter, "message": "this endpoint has no such parameter"}
    if fault["type"] == "missing":
        return {"parameter": parameter, "message": "has to be given"}
    message = str(fault["msg"]).removeprefix("Value error, ")
    return {"parameter": parameter, "value": str(fault["input"])[:200], "message": message[:1].lower() + message[1:]}


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}; /api/docs lists the endpoints"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible at {request.url.path}"
    return problem(error.status_code, title, detail, instance=request.url.path, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    # The traceback is for the log: a client learns nothing from it that is its business.
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "Internal error", "the request failed unexpectedly; the server's log says why", instance=request.url.path)
