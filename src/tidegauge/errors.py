"""The error tree. Each error knows once how it looks over HTTP and gRPC.

::

    TidegaugeError
    ├── ConfigurationError          a setting is unknown, malformed or contradicts another
    ├── RequestError                the client's doing: a 4xx
    │   ├── InvalidArgument         400  a parameter or body that cannot be read
    │   ├── Unauthenticated         401  no or a wrong API token
    │   ├── NotFound                404
    │   ├── MethodNotAllowed        405
    │   ├── RequestTimeout          408  a body that does not arrive
    │   ├── UnsupportedMediaType    415
    │   ├── PayloadTooLarge         413  before or after decompression
    │   ├── AnswerTooLarge          413  what was asked for is whole or nothing, and larger than an answer may be
    │   ├── SqlFailed               400  the database does not take or cannot carry out an analyst's SQL
    │   ├── SqlForbidden            403  an analyst's SQL does more than read what it may
    │   └── SqlTooCostly            422  an analyst's SQL would cost, or has taken, more than it may
    ├── Overloaded                  429  pending work is at its limit; retryable
    ├── RateLimited                 429  a client is over its limits; retryable
    ├── Unavailable                 503  a dependency is away; retryable
    │   ├── SqlNotReady                  there is no role that analysts' SQL could be run as
    │   ├── StatementTimeout             a statement ran into its limit
    │   ├── Busy                         it is there, and every connection to it is in use
    │   ├── CircuitOpen                  it failed so often that it is not asked for a while
    │   └── NotAsAGroup                  requests that only together cannot be stored
    ├── MigrationError              the database is not fit for us, or a revision failed; it is at the one before
    └── EmbeddedDatabaseError            the embedded database cannot start or broke
        ├── DataFolderInUse              another process holds the data folder
        └── NodeMissing                  no usable Node.js

gRPC codes are those of google.rpc.Code (google/rpc/code.proto).
"""

from __future__ import annotations

from typing import ClassVar


class TidegaugeError(Exception):
    """Base of every error this package raises on purpose; anything else is a defect.

    Attributes:
        message: what is wrong and where, for a person.
        hint: what to do about it; may be empty.

    """

    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[int] = 13  # INTERNAL
    title: ClassVar[str] = "Internal error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigurationError(TidegaugeError):
    """A setting is unknown, malformed or contradicts another; raised before anything starts."""

    title = "Configuration error"
    exit_code = 2


class RequestError(TidegaugeError):
    """The request cannot succeed however often it is sent."""

    http_status = 400
    grpc_code = 3  # INVALID_ARGUMENT
    title = "Bad request"


class InvalidArgument(RequestError):
    """A parameter or body that cannot be read.

    Attributes:
        parameter: the name of the parameter, where one is to blame.

    """

    title = "Invalid argument"

    def __init__(self, message: str, *, hint: str = "", parameter: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter


class Unauthenticated(RequestError):
    """No API token, or a wrong one."""

    http_status = 401
    grpc_code = 16  # UNAUTHENTICATED
    title = "Unauthenticated"


class NotFound(RequestError):
    """What was asked for by name or id is not there."""

    http_status = 404
    grpc_code = 5  # NOT_FOUND
    title = "Not found"


class MethodNotAllowed(RequestError):
    """The path is right, the method is not; ``allowed`` is for the Allow header."""

    http_status = 405
    grpc_code = 12  # UNIMPLEMENTED
    title = "Method not allowed"

    def __init__(self, message: str, *, hint: str = "", allowed: str) -> None:
        super().__init__(message, hint=hint)
        self.allowed = allowed


class RequestTimeout(RequestError):
    """The body did not arrive in time."""

    http_status = 408
    grpc_code = 4  # DEADLINE_EXCEEDED
    title = "Request timeout"


class UnsupportedMediaType(RequestError):
    """A Content-Type or Content-Encoding that this endpoint does not read."""

    http_status = 415
    title = "Unsupported media type"


class PayloadTooLarge(RequestError):
    """The body is over the limit, before or after decompression. Not retryable: it would not get smaller."""

    http_status = 413
    grpc_code = 8  # RESOURCE_EXHAUSTED, without RetryInfo
    title = "Payload too large"


class AnswerTooLarge(RequestError):
    """What was asked for cannot be cut, and is larger than an answer may be."""

    http_status = 413
    grpc_code = 8  # RESOURCE_EXHAUSTED, without RetryInfo
    title = "Answer too large"


class SqlFailed(RequestError):
    """The database does not take an analyst's SQL, or cannot carry it out.

    Attributes:
        sqlstate: PostgreSQL's code (Appendix A of its manual), where it gave one.
        position: the character of the text that is to blame, from 1, where one is.

    """

    title = "SQL failed"

    def __init__(self, message: str, *, hint: str = "", sqlstate: str | None = None, position: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        self.position = position


class SqlForbidden(SqlFailed):
    """An analyst's SQL does more than read what it may."""

    http_status = 403
    grpc_code = 7  # PERMISSION_DENIED
    title = "SQL not allowed"


class SqlTooCostly(SqlFailed):
    """An analyst's SQL would cost more than it may, or has taken longer."""

    http_status = 422
    grpc_code = 8  # RESOURCE_EXHAUSTED, without RetryInfo
    title = "SQL too costly"


class RetryableError(TidegaugeError):
    """The same request may succeed later.

    Attributes:
        retry_after_seconds: what to tell the client (Retry-After, RetryInfo).

    """

    http_status = 503
    grpc_code = 14  # UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(RetryableError):
    """Pending work is at its limit."""

    http_status = 429
    title = "Too many requests"


class Unavailable(RetryableError):
    """A dependency (the database) is away."""

    title = "Service unavailable"


class Busy(Unavailable):
    """A dependency is there, but every connection to it is in use."""


class CircuitOpen(Unavailable):
    """A dependency failed so often that it is not asked until its circuit breaker lets a probe through."""


class SqlNotReady(Unavailable):
    """There is no role that analysts' SQL could be run as without risk; says what the owner has to do."""


class RateLimited(RetryableError):
    """A client asks more often, or sends more, than its limits allow."""

    http_status = 429
    grpc_code = 14  # UNAVAILABLE, with RetryInfo: OTLP's exporters retry RESOURCE_EXHAUSTED only with RetryInfo as well
    title = "Too many requests"


class MigrationError(TidegaugeError):
    """The database is not fit for this store, or a revision failed; then the database is at the revision before."""

    title = "Migration error"
    exit_code = 4


class StatementTimeout(Unavailable):
    """A statement ran into its time limit and was ended."""


class NotAsAGroup(Unavailable):
    """Requests could not be stored together; one by one those that are not to blame can."""


class EmbeddedDatabaseError(TidegaugeError):
    """The embedded database cannot start, or broke and could not be brought back."""

    title = "Embedded database error"


class DataFolderInUse(EmbeddedDatabaseError):
    """Another process holds the data folder."""

    exit_code = 3


class NodeMissing(EmbeddedDatabaseError):
    """No usable Node.js was found."""
