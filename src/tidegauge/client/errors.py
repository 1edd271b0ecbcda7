"""What can go wrong between a client and a Tidegauge.

::

    ClientError
    ├── ConnectionFailed      no answer
    ├── UnexpectedAnswer      an answer that is not Tidegauge's
    ├── MissingLibrary        a frame of a library that is not installed
    └── ApiError              a problem document (RFC 9457)
        ├── BadRequest        400, 413, 422: the question is wrong; the hint says what to do
        ├── NotAllowed        401, 403: the token
        ├── NotFound          404
        ├── Overloaded        429, 503: after all retries
        └── ServerError       500 and the rest
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base of all."""


class ConnectionFailed(ClientError):
    """The server did not answer."""


class UnexpectedAnswer(ClientError):
    """What answered does not speak as Tidegauge does: another service, or a proxy's page."""


class MissingLibrary(ClientError):
    """A frame was asked for whose library is not installed."""


class ApiError(ClientError):
    """The server refused.

    Attributes:
        status: HTTP's.
        title: what kind of problem.
        detail: what is wrong.
        hint: what to do about it; may be empty.
        parameters: name → what is wrong with it.
        retry_after: seconds after which to ask again; None where that would not help.

    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        hint: str = "",
        parameters: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(": ".join(part for part in (f"{status} {title}", detail, hint) if part))
        self.status = status
        self.title = title
        self.detail = detail
        self.hint = hint
        self.parameters = dict(parameters or {})
        self.retry_after = retry_after


class BadRequest(ApiError):
    """The question is wrong."""


class NotAllowed(ApiError):
    """The token is missing or wrong."""


class NotFound(ApiError):
    """There is no such thing."""


class Overloaded(ApiError):
    """The server, or a store behind it, is busy or away."""


class ServerError(ApiError):
    """The server failed."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    413: BadRequest,
    422: BadRequest,
    429: Overloaded,
    503: Overloaded,
}


def of_answer(status: int, media_type: str, body: bytes, retry_after: str | None) -> ApiError | UnexpectedAnswer:
    """The error that an answer of this status stands for."""
    document = _problem(media_type, body)
    if document is None:
        return UnexpectedAnswer(f"HTTP {status} with {media_type or 'no media type'}: {body[:200].decode(errors='replace')!r}")
    parameters = {str(each.get("parameter", "")): str(each.get("message", "")) for each in document.get("errors", [])}
    return _BY_STATUS.get(status, ServerError)(
        status,
        str(document.get("title", "")),
        str(document.get("detail", "")),
        str(document.get("hint", "")),
        parameters,
        None if retry_after is None or not retry_after.isdigit() else float(retry_after),
    )


def _problem(media_type: str, body: bytes) -> dict[str, Any] | None:
    if not media_type.startswith("application/problem+json"):
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
